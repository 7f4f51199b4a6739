"""Edges of which a part of the channels passes the mixture (PC-DARTS, Xu et al. 2020)."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from stnas.space.cells.sharing import Mixed, Module
from stnas.supernet.blocks.partial import side_by_side
from stnas.supernet.mixture.edge import MixedEdge, NodeValue
from stnas.supernet.mixture.shares import Shares, places


class PartialEdge(MixedEdge):
    """``mixture(x[:C / K])`` and ``x[C / K:]``; at stride 2 what passes by is pooled.

    parts: K.
    """

    def __init__(self, edge: Mixed, *, parts: int, **options: Any) -> None:
        super().__init__(edge, **options)
        self.parts = parts
        sequences = (own for own in edge.sequences if own)
        self.stride = max(module.stride for own in sequences for module in own)

    def both(self, source: NodeValue, shares: Shares) -> tuple[Tensor, Tensor]:
        """Mix the first channels of a node ``[N, C, H, W]``, and return the others beside them."""
        own, others = source.divided(self.parts)
        around = others.first(HALF) if self.stride == 2 else others.x
        mixed = self(own, shares)
        if mixed is None:
            mixed = around.new_zeros(len(around), own.x.shape[1], *around.shape[2:])
        return mixed, around


def shuffled_sum(
    both: Sequence[tuple[Tensor, Tensor]], weights: Sequence[Tensor], parts: int
) -> Tensor:
    """Return ``sum_e w_e shuffle([mixed_e, around_e])``, shuffled once: edges are shuffled alike.

    both: of the edges that enter a node. parts: K.
    """
    mixed, around = (
        reduce(torch.add, [w * own for w, own in zip(weights, owns, strict=True)])
        for owns in zip(*both, strict=True)
    )
    return side_by_side(mixed, around, parts)


HALF = Module("maximum", 0, 0, 0, kernel=2, stride=2)
"""What the channels pass that no operation gets where it halves the pixels."""


def edge_weights(beta: Tensor, entering: tuple[tuple[int, ...], ...]) -> Tensor:
    """Return ``softmax(beta)`` over the edges that enter a node together, for each row ``[rows]``.

    entering: rows of alpha by node.
    """
    found = torch.cat([beta[places(rows, beta.device)].softmax(0) for rows in entering])
    order = [row for rows in entering for row in rows]
    back = tuple(sorted(range(len(order)), key=order.__getitem__))
    return found[places(back, beta.device)]
