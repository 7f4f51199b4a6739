"""Shapes of the operators of mixed cells, which are told without computing."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.library import register_fake
from torch.utils.flop_counter import register_flop_formula

import stnas.ops.extension  # noqa: F401
from stnas.ops.shapes import empty_image

OPS = torch.ops.stnas


# The names of the arguments are the schema's.
@register_fake("stnas::edge_convolutions")  # type: ignore[untyped-decorator]
def _convolve(x: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    images, _, height, width = x.shape
    out = kernel.shape[0]
    return empty_image(x, (images, out, height, width)), x.new_empty(2, out)


@register_fake("stnas::edge_convolutions_backward_")  # type: ignore[untyped-decorator]
def _convolve_backward(
    grads: list[Tensor], corrections: list[Tensor], x: Tensor, z: Tensor, kernel: Tensor,
    of_x: Tensor, wants_kernel: bool,
) -> Tensor:  # fmt: skip
    return x.new_empty(kernel.shape if wants_kernel else (0,))


@register_flop_formula(OPS.edge_convolutions)
def _count(x: torch.Size, kernel: torch.Size, *_: Any, **__: Any) -> int:
    return 2 * math.prod(kernel) * x[0] * math.prod(x[2:])


@register_flop_formula(OPS.edge_convolutions_backward_)
def _count_backward(
    grads: Any, corrections: Any, x: torch.Size, z: torch.Size, kernel: torch.Size,
    of_x: torch.Size, wants_kernel: bool, **_: Any,
) -> int:  # fmt: skip
    return (1 + wants_kernel) * _count(x, kernel)


@register_fake("stnas::mixed_node")  # type: ignore[untyped-decorator]
def _forward(x: list[Tensor], z: list[Tensor], statistics: list[Tensor], shares: Tensor) -> Tensor:
    return empty_image(x[0], x[0].shape)


@register_fake("stnas::mixed_node_backward_")  # type: ignore[untyped-decorator]
def _backward(
    grad: Tensor, x: list[Tensor], z: list[Tensor], statistics: list[Tensor], shares: Tensor,
    of_x: Any, add: bool, wants_shares: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    of_shares = shares.new_empty(len(shares) if wants_shares else 0, shares.shape[1])
    return of_shares, shares.new_empty(len(z), 4, grad.shape[1])


@register_fake("stnas::merge_kernels")  # type: ignore[untyped-decorator]
def _merge(kernels: list[Tensor], shares: Tensor, size: int, normalised: bool) -> Tensor:
    channels, depth = kernels[0].shape[:2]
    return shares.new_empty(len(shares) * channels, depth, size, size)


@register_fake("stnas::merge_kernels_backward")  # type: ignore[untyped-decorator]
def _merge_backward(
    grad: Tensor, kernels: list[Tensor], shares: Tensor, size: int, normalised: bool
) -> tuple[list[Tensor], Tensor]:
    found = [kernel.new_empty(kernel.shape) for kernel in kernels]
    return found, shares.new_empty(shares.shape)
