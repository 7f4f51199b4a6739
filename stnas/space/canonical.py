"""Canonical keys: equal texts if and only if the stand-alone networks are the same.

The value of a node is a formal sum of symbols: the output of the stem convolution and one symbol
per bottleneck. An identity, or the skip of a residual bottleneck, adds the sum of its source. A
bottleneck is known by its shape and by the sum that it reads, so the network is a directed acyclic
graph of symbols whose arcs carry coefficients, and a key is a hash of that graph's canonical
labelling: colour refinement and individualisation (McKay & Piperno 2014, section 2).
"""

import hashlib
from math import gcd, lcm
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stnas.space.genotype import gene_digits
from stnas.space.graph import Edge
from stnas.space.spec import SpaceSpec

Colours = NDArray[np.int64]


class SymbolGraph(NamedTuple):
    """Describe one network by its V symbols; symbol 0 is the input, symbol V - 1 the output.

    labels: rank of each symbol's shape ``[V]``. arcs: rank of the coefficient that a symbol
    (column) has in the sum that a symbol (row) reads ``[V, V]``, 0 for none. names: what the ranks
    stand for.
    """

    labels: Colours
    arcs: NDArray[np.int64]
    names: bytes


def canonical_key(
    genotype: NDArray[np.int8], edges: tuple[Edge, ...], spec: SpaceSpec, coefficients: Any
) -> str:
    """Return the key of one genotype ``[genes]``: 32 hexadecimal digits of a BLAKE2b hash.

    coefficients: ``coefficient_dtype(edges, spec)``.
    With merge ``shadow`` the BN of a node depends on its edges: the genotype itself is the key.
    """
    if spec.merge == "shadow":
        return gene_digits(genotype)
    graph = symbol_graph(genotype, edges, spec, coefficients)
    return hashlib.blake2b(graph.names + certificate(graph), digest_size=16).hexdigest()


def certificate(graph: SymbolGraph) -> bytes:
    """Return the labels and arcs in canonical order: equal for isomorphic graphs alone."""
    return min(_leaves(graph, graph.labels))


def symbol_graph(
    genotype: NDArray[np.int8], edges: tuple[Edge, ...], spec: SpaceSpec, kind: Any
) -> SymbolGraph:
    """Expand a genotype into its symbols and the formal sums that they read.

    A sum is a row of integers of the dtype ``kind`` over one denominator (1 unless merge is
    ``mean``), in lowest terms.
    """
    genes = zip(edges, genotype.tolist(), strict=True)
    chosen = [(edge, edge.choices[gene]) for edge, gene in genes]
    size = 2 + sum(operation.kind == "bottleneck" for _, operation in chosen)
    arcs = np.zeros((size, size), kind)
    sums: dict[int, tuple[NDArray[Any], int]] = {0: (np.eye(1, size, dtype=kind)[0], 1)}
    shapes: list[tuple[Any, ...]] = [(0,)]
    entering: list[tuple[NDArray[Any], int]] = []
    for edge, operation in chosen:
        if operation.kind != "none":
            row, scale = sums[edge.source]
            if operation.kind == "bottleneck":
                symbol = len(shapes)
                arcs[symbol] = row
                shape = (operation.kernel, operation.expand, edge.in_channels, edge.out_channels)
                shapes.append((1, *shape, edge.stride, scale))
                row = row.copy() if edge.residual else np.zeros(size, kind)
                scale = scale if edge.residual else 1
                row[symbol] += scale
            entering.append((row, scale))
        if edge.index + 1 == len(edges) or edges[edge.index + 1].target != edge.target:
            sums[edge.target] = _merge(entering, mean=spec.merge == "mean")
            entering = []
    arcs[-1], scale = sums[edges[-1].target]
    return _rank(arcs, [*shapes, (2, scale)])


def coefficient_dtype(edges: tuple[Edge, ...], spec: SpaceSpec) -> Any:
    """Return the dtype that every coefficient fits in: int64, or Python's integers."""
    return np.int64 if coefficient_bound(edges, spec) < 2**62 else object


def coefficient_bound(edges: tuple[Edge, ...], spec: SpaceSpec) -> int:
    """Bound every coefficient and denominator: ``b_j = f * max(1, sum of b_i)``.

    i: sources of j in its stage. f: 1, or lcm(1..in-degree) with merge ``mean``.
    """
    most = 1 + len(spec.branch_distances)
    factor = lcm(*range(1, most + 1)) if spec.merge == "mean" else 1
    totals = {0: 1}
    for edge in edges:
        kept = totals[edge.source] if edge.stride == 1 else 0
        totals[edge.target] = totals.get(edge.target, 0) + factor * max(1, kept)
    return max(totals.values())


def _merge(entering: list[tuple[NDArray[Any], int]], *, mean: bool) -> tuple[NDArray[Any], int]:
    if not mean:
        return sum((row for row, _ in entering[1:]), start=entering[0][0]), 1
    common = lcm(*(scale for _, scale in entering))
    total = sum((row * (common // scale) for row, scale in entering), start=entering[0][0] * 0)
    scale = common * len(entering)
    shared = gcd(scale, *(int(value) for value in total if value))
    return total // shared, scale // shared


def _rank(arcs: NDArray[Any], shapes: list[tuple[Any, ...]]) -> SymbolGraph:
    ordered = sorted(set(shapes))
    place = {shape: rank for rank, shape in enumerate(ordered)}
    coefficients, ranks = np.unique(arcs, return_inverse=True)
    names = repr((ordered, coefficients.tolist())).encode()
    labels = np.array([place[shape] for shape in shapes], np.int64)
    return SymbolGraph(labels, ranks.reshape(arcs.shape).astype(np.int64), names)


def _mix(values: NDArray[Any]) -> NDArray[np.uint64]:
    mixed = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _recolour(colours: Colours, signature: NDArray[Any]) -> Colours:
    """Split the cells by signature in place: ranks of the pairs (colour, signature)."""
    order = np.lexsort((signature, colours))
    first, second = colours[order], signature[order]
    steps = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    out = np.zeros(len(colours), np.int64)
    out[order[1:]] = np.cumsum(steps)
    return out


def _refine(arcs: NDArray[np.int64], colours: Colours) -> Colours:
    """Split the cells by the hashed colours around each symbol until none splits.

    The hashes may collide: that leaves a cell whole and costs time, never correctness, as leaves
    are compared in full.
    """
    weights = np.where(arcs > 0, _mix(arcs), np.uint64(0))
    while int(colours.max()) + 1 < len(colours):
        shades = _mix(colours)
        around = _mix(weights @ shades) + weights.T @ shades
        refined = _recolour(colours, around)
        if refined.max() == colours.max():
            return refined
        colours = refined
    return colours


def _leaves(graph: SymbolGraph, colours: Colours, *, first_only: bool = False) -> set[bytes]:
    """Return certificates of discrete colourings, the smallest among them.

    A sibling whose first leaf was seen before is the image of an explored one under an
    automorphism: its whole subtree is left out.
    """
    colours = _refine(graph.arcs, colours)
    sizes = np.bincount(colours)
    if sizes.max() == 1:
        order = np.argsort(colours)
        ordered = np.vstack([graph.labels[order], graph.arcs[np.ix_(order, order)]])
        return {ordered.astype("<i8").tobytes()}
    cell = np.flatnonzero(colours == int(np.argmax(sizes > 1)))
    if first_only or _interchangeable(graph.arcs, cell):
        cell = cell[:1]
    leaves: set[bytes] = set()
    for symbol in cell:
        marked = _recolour(colours, np.arange(len(colours)) != symbol)
        if leaves and _leaves(graph, marked, first_only=True) <= leaves:
            continue
        leaves |= _leaves(graph, marked, first_only=first_only)
    return leaves


def _interchangeable(arcs: NDArray[np.int64], cell: NDArray[np.int64]) -> bool:
    rows, columns = arcs[cell], arcs[:, cell]
    return bool((rows == rows[0]).all() and (columns == columns[:, :1]).all())
