"""The tensors and options of choice blocks, as the compiled operators take them."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.ops.dtypes import autocast_input, check_dtypes, widen
from stnas.ops.layers.reference import BatchNorm

OPS = torch.ops.stnas

WEIGHTS, AFFINE = 7, 6
"""Tensors of a block that may have gradients."""

Norms = tuple[BatchNorm, BatchNorm, BatchNorm]
Affine = list[Tensor | None]


class Options(NamedTuple):
    """What a choice block is besides its tensors."""

    stride: int
    activation: str
    residual: bool


def checked_input(x: Tensor, weight: Tensor) -> Tensor:
    """Return x in channels_last order and, under autocast, in its dtype."""
    x = autocast_input(x, weight)
    check_dtypes(x, weight)
    if x.dim() != 4:
        raise ValueError(f"x must have 4 dimensions (N, C, H, W), got {x.dim()}")
    return x.contiguous(memory_format=torch.channels_last)


def packed(weights: BottleneckWeights) -> BottleneckWeights:
    """Return the weights without gaps in memory, bfloat16 as float32."""
    return BottleneckWeights(*(widen(w if w.is_contiguous() else w.contiguous()) for w in weights))


def affine_parameters(norms: Norms) -> Affine:
    """List weight and bias of the three BN, bfloat16 as float32."""
    return [v if v is None else widen(v) for norm in norms for v in norm[:2]]


def running_statistics(norms: Norms, weights: Sequence[Tensor]) -> list[Tensor]:
    """List running mean and variance of the three BN, or nothing where there are none.

    Where some are missing, tensors that nobody reads stand in for them.
    """
    values = [value for norm in norms for value in norm[2:]]
    if all(value is None for value in values):
        return []
    sizes = [len(weights[0])] * 4 + [len(weights[6])] * 2
    return [
        weights[0].new_zeros(size) if value is None else value
        for value, size in zip(values, sizes, strict=True)
    ]


def needs_gradient(*tensors: Tensor | None) -> bool:
    """Tell whether autograd records an operator on any of these tensors."""
    return any(tensor is not None and tensor.requires_grad for tensor in tensors)
