"""The hyper-network of which every mixed edge computes all its candidates."""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from stnas.config import Kernels
from stnas.config.sharing import Level
from stnas.space import SearchSpace
from stnas.space.cells.sharing import Mixed
from stnas.supernet.as_built import is_plain
from stnas.supernet.blocks import build
from stnas.supernet.blocks.partial import PartialBlock
from stnas.supernet.layers import Merge, Tail, channels_last_, check_images, make_stem
from stnas.supernet.mixture.cells import Cell, cell_value, find_cells
from stnas.supernet.mixture.edge import MixedEdge, NodeValue
from stnas.supernet.mixture.partial import PartialEdge, shuffled_sum
from stnas.supernet.mixture.shares import Shares, Soft
from stnas.supernet.norms import norm
from stnas.supernet.supernet import SuperNet


class MixedNet(nn.Module):
    """Stem, nodes, tail as in the hyper-network of single paths; the edges between are mixtures.

    BN has no parameters and uses the statistics of the batch. Weights are drawn from torch's global
    generator. level, normalise: of sharing.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        level: Level = "none",
        normalise: bool = False,
        kernels: Kernels = "fused",
    ) -> None:
        super().__init__()
        assert space.mixture is not None
        self.space, self.level, self.compiled = space, level, kernels == "fused"
        make = partial(norm, affine=False, tracked=False)
        self.stem = make_stem(space, kernels=kernels, norm=make)
        self.fixed = [arc for arc in space.arcs if not arc.when]
        self.blocks = nn.ModuleDict(
            {
                arc.part: build(space.parts[arc.part], kernels=kernels, norm=make)
                for arc in self.fixed
                if arc.part is not None
            }
        )
        parts = space.mixture.parts
        kind = MixedEdge if parts == 1 else partial(PartialEdge, parts=parts)
        self.edges = nn.ModuleList(
            kind(edge, level=level, normalise=normalise, compiled=self.compiled)
            for edge in space.mixture.edges
        )
        self.cells = find_cells(space, level) if kernels == "fused" else {}
        self.merges = nn.ModuleList(Merge(node, degrees=(), norm=make) for node in space.nodes[1:])
        self.tail = Tail(space, kernels=kernels, norm=make)
        channels_last_(self)

    def forward(self, x: Tensor, shares: Sequence[Shares], weights: Tensor | None = None) -> Tensor:
        """Compute the logits ``[N, classes]`` of images; shares: one for each row of alpha.

        weights: of the edges of each row among those that enter a node ``[rows]``, where candidates
        get a part of the channels; None: 1.
        """
        check_images(x, self.space.head.in_channels)
        assert self.space.mixture is not None
        known = {0: self._node(self.stem(x), shares)}
        mixed, done = list(zip(self.space.mixture.edges, self.edges, strict=True)), 0
        for node in self.space.nodes[1:]:
            if node.index <= done:
                continue
            cell = self.cells.get(node.index)
            if cell is not None and (value := self._cell(cell, known, shares)) is not None:
                known[cell.last] = self._node(value, shares)
                done = cell.last
                continue
            values = list[Tensor]()
            for arc in self.fixed:
                if arc.target == node.index:
                    value = known[arc.source].x
                    values.append(value if arc.part is None else self.blocks[arc.part](value))
            own = [pair for pair in mixed if pair[0].target == node.index]
            values += self._mixtures(own, known, shares, weights)
            if not values:
                values.append(self._nothing(node.index, known[0].x))
            merged = self.merges[node.index - 1](values)
            known[node.index] = self._node(merged, shares)
        logits: Tensor = self.tail(known[len(self.space.nodes) - 1].x)
        return logits

    def _node(self, x: Tensor, shares: Sequence[Shares]) -> NodeValue:
        soft = all(isinstance(own, Soft) for own in shares)
        return NodeValue(x, shares=self.level != "none", compiled=self.compiled and soft)

    def _cell(
        self, cell: Cell, known: Mapping[int, NodeValue], shares: Sequence[Shares]
    ) -> Tensor | None:
        """Compute a whole cell by one operator; None where some candidates are left out.

        None, too, where the pass is not one of plain numbers.
        """
        assert self.space.mixture is not None
        if not is_plain(known[cell.first].x):
            return None
        modules = [self.edges[number] for number in cell.edges]
        edges = [module for module in modules if isinstance(module, MixedEdge)]
        rows = [shares[self.space.mixture.edges[number].row] for number in cell.edges]
        return cell_value(known[cell.first].x, cell, edges, rows)

    def _mixtures(
        self,
        entering: Sequence[tuple[Mixed, nn.Module]],
        known: Mapping[int, NodeValue],
        shares: Sequence[Shares],
        weights: Tensor | None,
    ) -> list[Tensor]:
        """Return what the mixed edges bring to a node; weights: of the edges of each row."""
        assert self.space.mixture is not None
        parts = self.space.mixture.parts
        if parts > 1 and entering:
            both = [
                module.both(known[edge.source], shares[edge.row])
                for edge, module in entering
                if isinstance(module, PartialEdge)
            ]
            one = both[0][0].new_ones(())
            own = [one if weights is None else weights[edge.row] for edge, _ in entering]
            return [shuffled_sum(both, own, parts)]
        modules = [(e, module) for e, module in entering if isinstance(module, MixedEdge)]
        sums = [module.forward(known[e.source], shares[e.row]) for e, module in modules]
        return [value for value in sums if value is not None]

    def _nothing(self, index: int, first: Tensor) -> Tensor:
        """Return the value of a node that no candidate leads to."""
        node, begin = self.space.nodes[index], self.space.nodes[0]
        size = [-(-side * node.resolution // begin.resolution) for side in first.shape[2:]]
        return first.new_zeros(first.shape[0], node.width, *size)

    @torch.no_grad()
    def single_paths(self, weights: Tensor | None = None) -> SuperNet:
        """Return the hyper-network of single paths in which each candidate is as it is here alone.

        Where one candidate of each edge counts, both compute the same. weights: of the edges, as
        ``forward`` takes them, where candidates get a part of the channels.
        """
        assert self.space.mixture is not None
        supernet = SuperNet(self.space, kernels="reference").to(next(self.parameters()))
        own = self.state_dict()
        state = supernet.state_dict()
        state.update({name: value for name, value in own.items() if name in state})
        supernet.load_state_dict(state)
        for edge, module in zip(self.space.mixture.edges, self.edges, strict=True):
            assert isinstance(module, MixedEdge)
            for candidate, key in enumerate(edge.keys):
                if key is not None:
                    block = supernet.block(key)
                    if weights is not None and isinstance(block, PartialBlock):
                        block.scale.copy_(weights[edge.row])
                    layers = block.modules()
                    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
                    for layer, kernel in zip(convolutions, module.alone(candidate), strict=True):
                        layer.weight.copy_(kernel)
        return supernet
