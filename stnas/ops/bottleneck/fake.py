"""Shapes and FLOPs of the choice block's operators, which tell both without computing."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import register_fake
from torch.utils.flop_counter import register_flop_formula

import stnas.ops.extension  # noqa: F401
from stnas._core import stores_expanded
from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.ops.dtypes import COMPUTE
from stnas.ops.shapes import Size, empty_image, out_size

BLOCK = 16
"""Channels in a block of the saved hidden tensor."""


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


# The names of the arguments are the schema's.
@register_fake("stnas::linear_bottleneck_add_")  # type: ignore[untyped-decorator]
def _add(
    x: Tensor, moments: Any, weights: list[Tensor], affine: Any, running: Any, momentum: float,
    into: Tensor, add: bool, stride: int, activation: str, residual: bool, keep: bool,
) -> tuple[Tensor, ...]:  # fmt: skip
    squeeze = BottleneckWeights(*weights).squeeze_weight
    return saved(x, squeeze, into.shape) if keep else tuple(x.new_empty(0) for _ in range(5))


@register_fake("stnas::linear_bottleneck_backward")  # type: ignore[untyped-decorator]
def _backward(
    grad: Tensor, x: Tensor, weights: list[Tensor], affine: Any, kept: list[Tensor], *_: Any
) -> tuple[Tensor, list[Tensor]]:
    statistics = kept[0]
    own = [torch.empty_like(tensor) for tensor in (*weights, statistics)]
    return empty_image(x, x.shape), own


@register_fake("stnas::node_moments")  # type: ignore[untyped-decorator]
def _moments(x: Tensor) -> Tensor:
    return sums(x, 1 + x.shape[1], x.shape[1])


@register_fake("stnas::linear_bottleneck_inference")  # type: ignore[untyped-decorator]
def _inference(
    x: Tensor, weights: list[Tensor], affine: Any, running: Any, stride: int, *_: Any
) -> Tensor:
    return empty_image(x, out_size(x, BottleneckWeights(*weights).project, stride))


def forward_flops(x: Size, weights: Sequence[Size], out: Size) -> int:
    """Return 2 * MAdds of the convolutions and the two SE layers, from the sizes of tensors."""
    expand, depthwise, squeeze, *_ = weights
    hidden, inner = expand[0], math.prod(x[2:])
    outer = out[1] * math.prod(out[2:])
    convolutions = hidden * (x[1] * inner + outer + math.prod(depthwise[2:]) * math.prod(out[2:]))
    return 2 * x[0] * (convolutions + 2 * hidden * squeeze[0])


@register_flop_formula(torch.ops.stnas.linear_bottleneck_inference)
def _count_inference(x: Size, weights: Sequence[Size], *_: Any, out_shape: Size, **__: Any) -> int:
    return forward_flops(x, weights, out_shape)


@register_flop_formula(torch.ops.stnas.linear_bottleneck_add_)
def _count_add(
    x: Size, moments: Any, weights: Sequence[Size], affine: Any, running: Any, momentum: float,
    into: Size, *_: Any, **__: Any,
) -> int:  # fmt: skip
    return forward_flops(x, weights, into)


@register_flop_formula(torch.ops.stnas.linear_bottleneck_backward)
def _count_backward(grad: Size, x: Size, weights: Sequence[Size], *_: Any, **__: Any) -> int:
    return 2 * forward_flops(x, weights, grad)
