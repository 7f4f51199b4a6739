"""Shapes and FLOPs of the choice block's operators, which tell both without computing."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.library import register_fake
from torch.utils.flop_counter import register_flop_formula

import stnas.ops.extension  # noqa: F401
from stnas.ops.dtypes import COMPUTE
from stnas.ops.shapes import Size, empty_image, out_size

BLOCK = 16
"""Channels in a block of the saved hidden tensor."""


def stores_expanded(channels: int, hidden: int) -> bool:
    """Tell whether a block keeps its expanded tensor, by the rule of csrc/host/problem.h.

    Then it does not read the moments of its input.
    """
    return hidden <= channels or channels * (2 * channels + hidden) >= 48 * hidden


def saved(x: Tensor, squeeze_weight: Tensor, size: Size) -> tuple[Tensor, ...]:
    """Return what a block keeps: statistics, hidden, projected, excitation, expanded."""
    n, out, pixels = size[0], size[1], size[2] * size[3]
    squeeze, hidden = squeeze_weight.shape
    blocks, channels, inner = -(-hidden // BLOCK), x.shape[1], x.shape[2] * x.shape[3]
    stored = stores_expanded(channels, hidden)
    return (
        sums(x, 4 * hidden + 2 * out),
        x.new_empty(n, blocks, pixels, BLOCK),
        x.new_empty(n, pixels, out),
        sums(x, n, 2 * blocks * BLOCK + -(-squeeze // BLOCK) * BLOCK),
        x.new_empty(n, blocks, inner, BLOCK) if stored else sums(x, 1 + hidden, channels),
    )


def saved_piece(x: Tensor, squeeze_weight: Tensor, size: Size) -> Tensor:
    """Return the same in one piece, whose parts begin at multiples of 64 bytes."""
    parts = saved(x, squeeze_weight, size)
    total = sum(-(-part.numel() * part.element_size() // 64) * 64 for part in parts)
    return sums(x, total // COMPUTE[x.dtype].itemsize)


def sums(x: Tensor, *size: int) -> Tensor:
    """Return a tensor, not set, of the dtype that x is computed in."""
    return x.new_empty(size, dtype=COMPUTE[x.dtype])


@register_fake("stnas::linear_bottleneck_forward")  # type: ignore[untyped-decorator]
def _forward(x: Tensor, *args: Any) -> tuple[Tensor, ...]:
    size = out_size(x, args[6], args[13])
    return empty_image(x, size), *saved(x, args[2], size)


@register_fake("stnas::linear_bottleneck_add_")  # type: ignore[untyped-decorator]
def _add(x: Tensor, _moments: Tensor | None, *args: Any) -> tuple[Tensor, ...]:
    out, (keep, gather) = args[10], args[-2:]
    kept = saved(x, args[2], out.shape) if keep else [x.new_empty(0)] * 5
    channels = out.shape[1]
    return *kept, sums(x, 1 + channels, channels) if gather else x.new_empty(0)


@register_fake("stnas::linear_bottleneck_backward")  # type: ignore[untyped-decorator]
def _backward(grad: Tensor, x: Tensor, *args: Any) -> tuple[Tensor, ...]:
    own = (torch.empty_like(weight) for weight in args[:7])
    return empty_image(x, x.shape), *own, torch.empty_like(args[8])


@register_fake("stnas::node_moments")  # type: ignore[untyped-decorator]
def _moments(x: Tensor) -> Tensor:
    return sums(x, 1 + x.shape[1], x.shape[1])


@register_fake("stnas::linear_bottleneck_inference")  # type: ignore[untyped-decorator]
def _inference(x: Tensor, *args: Any) -> Tensor:
    return empty_image(x, out_size(x, args[6], args[9]))


def forward_flops(x: Size, expand: Size, depthwise: Size, squeeze: Size, out: Size) -> int:
    """Return 2 * MAdds of the convolutions and the two SE layers."""
    hidden, inner = expand[0], math.prod(x[2:])
    outer = out[1] * math.prod(out[2:])
    convolutions = hidden * (x[1] * inner + outer + math.prod(depthwise[2:]) * math.prod(out[2:]))
    return 2 * x[0] * (convolutions + 2 * hidden * squeeze[0])


@register_flop_formula(
    [torch.ops.stnas.linear_bottleneck_forward, torch.ops.stnas.linear_bottleneck_inference]
)
def _count_forward(
    x: Size, expand: Size, depthwise: Size, squeeze: Size, *args: Any, out_shape: Any, **_: Any
) -> int:
    out = out_shape if isinstance(out_shape[0], int) else out_shape[0]
    return forward_flops(x, expand, depthwise, squeeze, out)


@register_flop_formula(torch.ops.stnas.linear_bottleneck_add_)
def _count_add(
    x: Size, _moments: Size, expand: Size, depthwise: Size, squeeze: Size, *args: Any, **_: Any
) -> int:
    return forward_flops(x, expand, depthwise, squeeze, args[7])


@register_flop_formula(torch.ops.stnas.linear_bottleneck_backward)
def _count_backward(
    grad: Size, x: Size, expand: Size, depthwise: Size, squeeze: Size, *args: Any, **_: Any
) -> int:
    return 2 * forward_flops(x, expand, depthwise, squeeze, grad)
