"""Shapes of the operators of mixed cells, which are told without computing."""

from typing import Any

from torch import Tensor
from torch.library import register_fake

import stnas.ops.extension  # noqa: F401
from stnas.ops.shapes import empty_image


# The names of the arguments are the schema's.
@register_fake("stnas::mixed_node")  # type: ignore[untyped-decorator]
def _forward(x: list[Tensor], z: list[Tensor], shares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    first = x[0]
    statistics = first.new_empty(len(z), 2, first.shape[1])
    return empty_image(first, first.shape), empty_image(first, first.shape), statistics


@register_fake("stnas::mixed_node_backward_")  # type: ignore[untyped-decorator]
def _backward(
    grad: Tensor, rectified: Tensor | None, of_rectified: Tensor | None, x: list[Tensor],
    z: list[Tensor], shares: Tensor, statistics: Tensor, of_x: Any, of_z: Any, add: bool,
    wants_shares: bool,
) -> Tensor:  # fmt: skip
    return shares.new_empty(len(shares) if wants_shares else 0, shares.shape[1])


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
