"""Shapes of the mixed node's operators, which are told without computing."""

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
