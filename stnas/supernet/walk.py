"""The walk through the nodes: ``v_j = join_i(block_ij(v_i))``."""

from collections.abc import Mapping, Sequence, Set
from itertools import groupby

from torch import Tensor, nn

from stnas.ops.bottleneck.path import linear_bottleneck_path
from stnas.ops.bottleneck.path_plan import PathEdge
from stnas.space import Arc, SearchSpace
from stnas.supernet.as_built import is_plain, is_unwatched
from stnas.supernet.blocks import LinearBottleneck
from stnas.supernet.blocks.block import apply
from stnas.supernet.layers import Merge

Blocks = Mapping[Arc, nn.Module]
"""Blocks of an architecture, by the arcs that carry them."""


def propagate(
    space: SearchSpace, arcs: Sequence[Arc], first: Tensor, *, blocks: Blocks, merges: nn.ModuleList
) -> Tensor:
    """Compute the nodes in order and return the last.

    arcs: of the architecture. first: the value of v1. Compiled bottlenecks are computed as one
    function where the batch gives all statistics, no node has a BN of its own and the modules are
    as they were built, and one by one otherwise.
    """
    if is_path(space, first, blocks=blocks, merges=merges):
        edges = path_edges(arcs, blocks)
        return linear_bottleneck_path(first, edges, mean=space.nodes[-1].join == "mean")
    return arc_by_arc(space, arcs, first, blocks=blocks, merges=merges)


def is_path(space: SearchSpace, x: Tensor, *, blocks: Blocks, merges: nn.ModuleList) -> bool:
    """Tell whether the operator of a whole path can compute an architecture from x on."""
    return (
        is_plain(x)
        and len(space.joins) == 1
        and "shadow" not in space.joins
        and len(blocks) > 0
        and all(type(own) is Merge and is_unwatched(own) for own in merges)
        and all(type(own) is LinearBottleneck and own.fits_a_path(x) for own in blocks.values())
    )


def path_edges(arcs: Sequence[Arc], blocks: Blocks) -> list[PathEdge]:
    """List the present edges, and count the batch where BN layers track statistics."""
    edges = []
    for arc in arcs:
        block = None if arc.part is None else blocks[arc]
        if block is None:
            edges.append(PathEdge(arc.source, arc.target))
        else:
            assert isinstance(block, LinearBottleneck)
            edges.append(block.advance_on_path_(arc))
    return edges


def arc_by_arc(
    space: SearchSpace, arcs: Sequence[Arc], first: Tensor, *, blocks: Blocks, merges: nn.ModuleList
) -> Tensor:
    """Apply every block alone, and return the value of the last node."""
    last = space.nodes[-1].index
    return node_values(arcs, first, blocks=blocks, merges=merges, kept={last})[last]


def node_values(
    arcs: Sequence[Arc], first: Tensor, *, blocks: Blocks, merges: nn.ModuleList, kept: Set[int]
) -> dict[int, Tensor]:
    """Apply every block alone, and return the values of the nodes that are to be kept.

    Any other value is let go after the last arc that leaves its node.
    """
    values, last = {0: first}, {arc.source: arc.target for arc in arcs}
    for target, group in groupby(arcs, key=lambda arc: arc.target):
        entering = list(group)
        values[target] = merges[target - 1]([_value(values[a.source], a, blocks) for a in entering])
        for source in {arc.source for arc in entering if last[arc.source] == target} - kept:
            del values[source]
    return values


def _value(x: Tensor, arc: Arc, blocks: Blocks) -> Tensor:
    if arc.part is None:
        return x
    return apply(blocks[arc], x, arc.option)
