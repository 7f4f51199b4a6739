"""Shapes and FLOPs of the operators of half a separable convolution, told without computing."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import register_fake
from torch.utils.flop_counter import register_flop_formula

import stnas.ops.extension  # noqa: F401
from stnas.ops.bottleneck.fake import BLOCK
from stnas.ops.shapes import Size, empty_image


def out_size(x: Size, pointwise: Size, stride: int) -> tuple[int, int, int, int]:
    """Return the sizes ``[N, C_out, H, W]`` of the result."""
    return (x[0], pointwise[0], -(-x[2] // stride), -(-x[3] // stride))


def kept(x: Size, pointwise: Size, stride: int) -> int:
    """Return how many values are kept for the gradient: few channels of some images in a block."""
    n, _, height, width = out_size(x, pointwise, stride)
    widest = max(x[1], pointwise[0])
    together = next(count for count in (8, 4, 2, 1) if count == 1 or count * widest <= BLOCK)
    return -(-n // together) * -(-x[1] // BLOCK) * BLOCK * height * width


# The names of the arguments are the schema's.
@register_fake("stnas::relu_dw_pw_bn_forward")  # type: ignore[untyped-decorator]
def _forward(
    xs: list[Tensor], kernels: list[Tensor], strides: list[int], grids: list[int],
    shifts: list[int], pointwise: Tensor, scale: Tensor | None, weight: Tensor | None,
    bias: Tensor | None, keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    x, sizes = xs[0], (xs[0].shape, pointwise.shape, strides[0])
    channels, out = x.shape[1], pointwise.shape[0]
    values = x.new_empty(kept(*sizes) if keep else 0)
    moments, statistics = x.new_empty(1 + channels, channels), x.new_empty(2, out)
    return empty_image(x, out_size(*sizes)), values, moments, statistics


@register_fake("stnas::relu_dw_pw_bn_backward")  # type: ignore[untyped-decorator]
def _backward(
    grad: Tensor, xs: list[Tensor], kernels: list[Tensor], strides: list[int], grids: list[int],
    shifts: list[int], pointwise: Tensor, scale: Tensor | None, weight: Tensor | None,
    bias: Tensor | None, values: Tensor, moments: Tensor, statistics: Tensor,
) -> tuple[list[Tensor], list[Tensor], Tensor, Tensor, Tensor]:  # fmt: skip
    of_xs = [empty_image(x, x.shape) for x in xs]
    of_kernels = [torch.empty_like(kernel) for kernel in kernels]
    of_scale, of_affine = xs[0].new_empty(()), xs[0].new_empty(2, len(pointwise))
    return of_xs, of_kernels, torch.empty_like(pointwise), of_scale, of_affine


@register_fake("stnas::mixed_kernel")  # type: ignore[untyped-decorator]
def _mixed(kernels: list[Tensor], *_: Any) -> Tensor:
    size = max(kernel.shape[-1] for kernel in kernels)
    return kernels[0].new_empty(len(kernels[0]), 1, size, size)


@register_fake("stnas::mixed_kernel_backward")  # type: ignore[untyped-decorator]
def _mixed_backward(
    grad: Tensor, kernels: list[Tensor], shares: list[Tensor], *_: Any
) -> tuple[list[Tensor], Tensor]:
    return [torch.empty_like(kernel) for kernel in kernels], grad.new_empty(len(shares) + 1)


def forward_flops(
    xs: Sequence[Size], kernels: Sequence[Size], strides: Sequence[int], pointwise: Size
) -> int:
    """Return 2 * MAdds of the convolutions, from the sizes of tensors."""
    n, out, height, width = out_size(xs[0], pointwise, strides[0])
    pixels = n * height * width
    return 2 * pixels * (sum(map(math.prod, kernels)) + out * xs[0][1])


@register_flop_formula(torch.ops.stnas.relu_dw_pw_bn_forward)
def _count_forward(
    xs: Sequence[Size], kernels: Sequence[Size], strides: Sequence[int], grids: Any,
    shifts: Any, pointwise: Size, *_: Any, **__: Any,
) -> int:  # fmt: skip
    return forward_flops(xs, kernels, strides, pointwise)


@register_flop_formula(torch.ops.stnas.relu_dw_pw_bn_backward)
def _count_backward(
    grad: Size, xs: Sequence[Size], kernels: Sequence[Size], strides: Sequence[int], grids: Any,
    shifts: Any, pointwise: Size, *_: Any, **__: Any,
) -> int:  # fmt: skip
    return 2 * forward_flops(xs, kernels, strides, pointwise)
