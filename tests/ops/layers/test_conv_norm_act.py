"""Convolution, BN and activation as one function: the bits of the two operators, and gradients."""

from typing import Any

import pytest
import torch
from torch import Tensor

from stnas.ops import conv_norm_act, convolution, norm_act
from stnas.ops.layers.reference import BatchNorm

# images, C_in, C_out, kernel, stride, height, width; the last has too many weights for the kernels
SIZES = [
    (4, 1, 8, 3, 2, 9, 8),
    (3, 24, 31, 1, 1, 4, 5),
    (2, 3, 5, 5, 3, 7, 7),
    (2, 80, 80, 1, 1, 3, 3),
]
OPTIONS: dict[str, Any] = {"activation": "relu6", "training": True, "momentum": 0.3}


def separate(x: Tensor, weight: Tensor, norm: BatchNorm, *, stride: int, **state: Any) -> Tensor:
    return norm_act(convolution(x, weight, stride=stride), norm, **state)


def draw(size: tuple[int, ...], dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Return images and weights, then weight, bias, mean and variance of the BN."""
    n, channels, out, kernel, _, height, width = size
    generator = torch.Generator().manual_seed(0)
    shapes = [(n, channels, height, width), (out, channels, kernel, kernel), *[(out,)] * 4]
    drawn = [torch.randn(s, generator=generator, dtype=torch.float64).to(dtype) for s in shapes]
    return [*drawn[:5], drawn[5].abs()]


def outcome(form: Any, size: tuple[int, ...], *, affine: bool, images: bool) -> list[Tensor]:
    """Return result, gradients and moved statistics."""
    x, weight, scale, bias, mean, variance = draw(size)
    leaves = [weight, *([scale, bias] if affine else []), *([x] if images else [])]
    for leaf in leaves:
        leaf.requires_grad_()
    norm = BatchNorm(*((scale, bias) if affine else (None, None)), mean, variance)
    out = form(x, weight, norm, stride=size[4], **OPTIONS)
    direction = torch.linspace(-1, 2, out.numel()).view_as(out)
    return [out.detach(), *torch.autograd.grad(out, leaves, direction), mean, variance]


@pytest.mark.parametrize("images", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_it_has_the_bits_of_the_two(size: tuple[int, ...], affine: bool, images: bool) -> None:
    ours, want = (
        outcome(form, size, affine=affine, images=images) for form in (conv_norm_act, separate)
    )
    assert all(torch.equal(a, b) for a, b in zip(ours, want, strict=True))
    assert ours[0].is_contiguous(memory_format=torch.channels_last)


def test_gradcheck() -> None:
    x, weight, scale, bias, *_ = draw((3, 2, 3, 3, 2, 5, 4), torch.float64)

    def run(*leaves: Tensor) -> Tensor:
        norm = BatchNorm(*leaves[2:])
        return conv_norm_act(*leaves[:2], norm, stride=2, activation="silu", training=True)

    leaves = [leaf.requires_grad_() for leaf in (x, weight, scale, bias)]
    assert torch.autograd.gradcheck(run, leaves)


class Nothing(torch.autograd.Function):
    """The identity, without a gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> None:
        return None


def test_a_gradient_that_does_not_come() -> None:
    x, weight, scale, bias, *_ = draw(SIZES[0])
    weight.requires_grad_()
    out = conv_norm_act(x, weight, BatchNorm(scale, bias), stride=2, **OPTIONS)
    (grad,) = torch.autograd.grad(Nothing.apply(out).sum() + weight.sum(), [weight])  # type: ignore
    assert torch.equal(grad, torch.ones_like(weight))


def test_evaluation_and_half_precision_are_those_of_the_two() -> None:
    x, weight, *state = draw(SIZES[0])
    weight.requires_grad_()
    options = {**OPTIONS, "training": False, "stride": 2}
    ours, want = (
        form(x, weight, BatchNorm(*state), **options) for form in (conv_norm_act, separate)
    )
    assert torch.equal(ours, want)
    with torch.autocast("cpu", torch.bfloat16):
        half = conv_norm_act(x, weight, BatchNorm(*state), stride=2, **OPTIONS)
    assert half.dtype == torch.bfloat16


def test_errors_are_those_of_the_two() -> None:
    weight = torch.zeros(3, 1, 1, 1, requires_grad=True)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        conv_norm_act(torch.zeros(1, 1, 1, 1), weight, BatchNorm(), stride=1, **OPTIONS)
    with pytest.raises(ValueError, match=r"weight must have shape \[C_out, 2, K, K\]"):
        conv_norm_act(torch.zeros(2, 2, 3, 3), weight, BatchNorm(), stride=1, **OPTIONS)
