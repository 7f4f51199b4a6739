"""BN and activation in one pass against their twin: values, gradients, registrations, errors."""

from typing import Any

import pytest
import torch
from numerics import TOLERANCE, error
from torch import Tensor
from torch.testing import assert_close

from stnas.ops import norm_act
from stnas.ops.layers import reference
from stnas.ops.layers.reference import BatchNorm

# whole vectors, two pixels a vector, odd channels, one pixel, more than a tile, tails
SIZES = [(3, 16, 5, 5), (2, 8, 7, 9), (4, 24, 6, 5), (3, 5, 3, 3), (2, 33, 1, 1), (70, 8, 20, 21)]
ACTIVATIONS = ["relu", "relu6", "hardswish", "silu"]


def draw(size: tuple[int, ...], dtype: torch.dtype, *, affine: bool) -> tuple[Tensor, BatchNorm]:
    """Return an input with a large mean, and a layer with statistics."""
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(size[1], generator=generator, dtype=torch.float64) for _ in range(4)]
    x = 2 * torch.randn(size, generator=generator, dtype=torch.float64) + 30
    weight, bias, mean, variance = (value.to(dtype) for value in values)
    return x.to(dtype), BatchNorm(
        1 + weight if affine else None, bias if affine else None, mean, variance.abs()
    )


def outcome(form: Any, x: Tensor, norm: BatchNorm, **options: Any) -> list[Tensor]:
    """Return output, gradients and moved statistics of one call."""
    x = x.clone().requires_grad_()
    norm = BatchNorm(*(value if value is None else value.clone() for value in norm))
    affine = [value.requires_grad_() for value in norm[:2] if value is not None]
    out = form(x, norm, **options)
    direction = torch.linspace(-1, 2, out.numel(), dtype=torch.float64).to(out).view_as(out)
    grads = torch.autograd.grad(out, [x, *affine], direction)
    return [out.detach(), *grads, *(value for value in norm[2:] if value is not None)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("affine", [True, False])
def test_equals_twin(activation: str, dtype: torch.dtype, affine: bool) -> None:
    for size in SIZES:
        x, norm = draw(size, dtype, affine=affine)
        options = {"activation": activation, "training": True, "momentum": 0.3}
        ours = outcome(norm_act, x, norm, **options)
        wide = BatchNorm(*(value if value is None else value.double() for value in norm))
        twin = outcome(reference.norm_act, x.double(), wide, **options)
        for own, expected in zip(ours, twin, strict=True):
            assert error(own, expected) <= TOLERANCE["norm_act"][dtype], size
        assert ours[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_slopes_at_the_kinks_are_torchs(activation: str, dtype: torch.dtype) -> None:
    kinks = torch.tensor([-3.0, 0.0, 3.0, 6.0]).to(dtype)
    beside = [torch.nextafter(kinks, kinks + side) for side in (-1, 1)]
    bias = torch.cat([kinks, *beside])  # BN with weight 0: every pixel of a channel is at one place
    x = draw((3, len(bias), 3, 3), dtype, affine=False)[0]
    norm = BatchNorm(torch.zeros_like(bias), bias)
    options = {"activation": activation, "training": True}
    ours, twin = (outcome(form, x, norm, **options) for form in (norm_act, reference.norm_act))
    assert_close(ours[0], twin[0])
    assert_close(ours[3], twin[3])  # the gradient of the bias: the slope at every place


def test_bits_are_the_same_without_gradients() -> None:
    x, norm = draw(SIZES[-1], torch.float32, affine=True)
    options = {"activation": "relu6", "training": True, "momentum": 0.3}
    expected = outcome(norm_act, x, norm, **options)
    for mode in (torch.no_grad(), torch.inference_mode()):
        own = BatchNorm(*(value if value is None else value.clone() for value in norm))
        with mode:
            assert torch.equal(norm_act(x, own, **options), expected[0])
        assert all(map(torch.equal, own[2:], expected[-2:]))  # type: ignore[arg-type]


def test_result_does_not_depend_on_threads() -> None:
    threads = torch.get_num_threads()
    x, norm = draw(SIZES[-1], torch.float32, affine=True)
    results = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(outcome(norm_act, x, norm, activation="silu", training=True))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, results[0], strict=True))


def test_gradcheck_and_opcheck() -> None:
    x, norm = draw((3, 5, 3, 2), torch.float64, affine=True)
    x = x.contiguous(memory_format=torch.channels_last)
    leaves = [value.detach().requires_grad_() for value in (x, *norm[:2]) if value is not None]
    forward = torch.ops.stnas.norm_act_forward.default
    assert torch.autograd.gradcheck(lambda *inputs: forward(*inputs, "silu")[0], leaves)
    torch.library.opcheck(forward, (*leaves, "silu"))
    plain = [leaf.detach() for leaf in leaves]
    statistics = forward(*plain, "silu")[1]
    backward = (torch.ones_like(x), *plain, statistics, "silu")
    torch.library.opcheck(torch.ops.stnas.norm_act_backward.default, backward)


def test_running_statistics_and_half_precision_go_to_the_twin() -> None:
    x, norm = draw((3, 8, 4, 4), torch.float32, affine=True)
    options: dict[str, Any] = {"activation": "relu6"}
    out = norm_act(x, norm, training=False, **options)
    assert_close(out, reference.norm_act(x, norm, training=False, **options))
    half = norm_act(x.bfloat16(), norm, training=True, **options)
    assert half.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("size", "norm", "activation", "message"),
    [
        ((1, 3, 1, 1), BatchNorm(), "relu", "more than 1 value per channel"),
        ((0, 3, 2, 2), BatchNorm(), "relu", "x must not be empty"),
        ((2, 3, 2, 2), BatchNorm(), "gelu", "activation must be relu, .* got gelu"),
        ((2, 3, 2, 2), BatchNorm(torch.ones(4)), "relu", r"weight must have shape \[3\]"),
        ((2, 3, 2, 2), BatchNorm(None, torch.ones(3).double()), "relu", "bias must be .* dtype"),
    ],
)
def test_errors(size: tuple[int, ...], norm: BatchNorm, activation: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        norm_act(torch.zeros(size), norm, activation=activation, training=True)
