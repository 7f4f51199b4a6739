"""The walk through the nodes: ``v_j = merge_i(edge_ij(v_i))``."""

from collections.abc import Callable
from itertools import groupby

from torch import Tensor, nn

from stnas.ops.bottleneck.path import linear_bottleneck_path
from stnas.ops.bottleneck.path_plan import PathEdge
from stnas.space import Edge, Genotype, SearchSpace
from stnas.supernet.block import LinearBottleneck
from stnas.supernet.topology import bottlenecks

Blocks = dict[int, LinearBottleneck]
"""Choice blocks of an architecture, by the index of their edge."""


def propagate(
    space: SearchSpace,
    genotype: Genotype,
    first: Tensor,
    *,
    block: Callable[[Edge], LinearBottleneck],
    merges: nn.ModuleList,
) -> Tensor:
    """Compute the nodes in order and return the last.

    first: the value of v1. block: gives the choice block of an edge. Compiled blocks are computed
    as one function where the batch gives all statistics and no node has a BN of its own, and one
    by one otherwise.
    """
    blocks = {edge.index: block(edge) for edge, _ in bottlenecks(space, genotype)}
    whole = space.spec.merge != "shadow" and len(blocks) > 0
    if whole and all(own.compiled and own.normalises_by_batch for own in blocks.values()):
        edges = path_edges(space, genotype, blocks)
        return linear_bottleneck_path(first, edges, mean=space.spec.merge == "mean")
    return _edge_by_edge(space, genotype, first, blocks=blocks, merges=merges)


def path_edges(space: SearchSpace, genotype: Genotype, blocks: Blocks) -> list[PathEdge]:
    """List the present edges, and count the batch where BN layers track statistics."""
    edges = []
    for edge, gene in zip(space.edges, genotype.tolist(), strict=True):
        kind = edge.choices[gene].kind
        if kind == "identity":
            edges.append(PathEdge(edge.source, edge.target))
        elif kind == "bottleneck":
            edges.append(blocks[edge.index].advance_on_path_(edge))
    return edges


def _edge_by_edge(
    space: SearchSpace, genotype: Genotype, first: Tensor, *, blocks: Blocks, merges: nn.ModuleList
) -> Tensor:
    """Apply every block alone; a value is let go once no later edge can leave its node."""
    reach = max((1, *space.spec.branch_distances))
    values = {0: first}
    for target, edges in groupby(space.edges, key=lambda edge: edge.target):
        entering = []
        for edge in edges:
            kind = edge.choices[genotype[edge.index]].kind
            if kind != "none":
                source = values[edge.source]
                entering.append(source if kind == "identity" else blocks[edge.index](source))
        values[target] = merges[target - 1](entering)
        values.pop(target - reach, None)
    return values[space.nodes[-1].index]
