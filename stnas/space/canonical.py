"""Canonical keys: equal texts if and only if the stand-alone networks are the same.

The value of a node is a formal sum of symbols: the output of the stem convolution and one symbol
per part. An identity, or the skip of a residual part, adds the sum of its source. A part is known
by its signature and by the sum that it reads, so the network is a directed acyclic
graph of symbols whose arcs carry coefficients, and a key is a hash of that graph's canonical
labelling: colour refinement and individualisation (McKay & Piperno 2014, section 2).
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from math import gcd, lcm
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stnas.space.genotype import Genotype, gene_digits
from stnas.space.graph import Arc, owner
from stnas.space.part import adds_input, signature_of

if TYPE_CHECKING:
    from stnas.space.value import SearchSpace

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


def canonical_key(space: "SearchSpace", genotype: Genotype, coefficients: Any) -> str:
    """Return the key of one genotype ``[genes]``: 32 hexadecimal digits of a BLAKE2b hash.

    coefficients: ``coefficient_dtype(space)``.
    Where a node has a BN for each number of entering arcs, or different genotypes cannot be the
    same network, the genotype itself is the key.
    """
    if any(node.join == "shadow" for node in space.nodes) or space.is_distinct:
        return gene_digits(genotype)
    graph = symbol_graph(space, space.arcs_of(genotype), coefficients)
    return hashlib.blake2b(graph.names + certificate(graph), digest_size=16).hexdigest()


def is_distinct(space: "SearchSpace") -> bool:
    """Tell whether a space is a chain whose genes each choose among different parts.

    Each node is entered by the arcs of one gene, every one with a part of another signature and
    without its input as a summand: then no two genotypes are one network.
    """
    for target, entering in groupby(space.arcs, key=lambda arc: arc.target):
        arcs = list(entering)
        if any(arc.part is None or _hands_on(space, arc) for arc in arcs):
            return False
        parts = [(space.parts[arc.part], arc.option) for arc in arcs if arc.part is not None]
        whole = {owner(arc) for arc in arcs} == {(target - 1,)} and len(arcs[0].when) == 1
        if not whole or len({signature_of(*own) for own in parts}) < len(arcs):
            return False
        if any(arc.source != target - 1 for arc in arcs):
            return False
    return len(space.genes) == len(space.nodes) - 1


def certificate(graph: SymbolGraph) -> bytes:
    """Return the labels and arcs in canonical order: equal for isomorphic graphs alone."""
    return min(_leaves(graph, graph.labels))


def symbol_graph(space: "SearchSpace", arcs: Sequence[Arc], kind: Any) -> SymbolGraph:
    """Expand the arcs of an architecture into symbols and the formal sums that they read.

    A sum is a row of integers of the dtype ``kind`` over one denominator (1 unless a node takes the
    mean), in lowest terms. Parts whose weights are shared bear their key.
    """
    uses = Counter(arc.part for arc in arcs if arc.part is not None)
    size = 2 + sum(uses.values())
    reads = np.zeros((size, size), kind)
    sums: dict[int, tuple[NDArray[Any], int]] = {0: (np.eye(1, size, dtype=kind)[0], 1)}
    shapes: list[tuple[Any, ...]] = [(0,)]
    for target, entering in groupby(arcs, key=lambda arc: arc.target):
        values = []
        for arc in entering:
            row, scale = sums[arc.source]
            if arc.part is not None:
                part, symbol = space.parts[arc.part], len(shapes)
                shared = (arc.part,) if uses[arc.part] > 1 else ()
                reads[symbol] = row
                shapes.append((*signature_of(part, arc.option), *shared, scale))
                row = row.copy() if adds_input(part) else np.zeros(size, kind)
                scale = scale if adds_input(part) else 1
                row[symbol] += scale
            values.append((row, scale))
        sums[target] = _merge(values, mean=space.nodes[target].join == "mean")
    reads[-1], scale = sums[space.nodes[-1].index]
    return _rank(reads, [*shapes, (2, scale)])


def coefficient_dtype(space: "SearchSpace") -> Any:
    """Return the dtype that every coefficient fits in: int64, or Python's integers."""
    return np.int64 if coefficient_bound(space) < 2**62 else object


def coefficient_bound(space: "SearchSpace") -> int:
    """Bound every coefficient and denominator: ``b_j = sum of f * max(1, b_i)``.

    The sum is over the genes that decide arcs into j, and over the arcs that are always there. i:
    the source, where an arc may hand its value on. f: 1, or lcm(1..in-degree) with a mean.
    """
    totals = {0: 1}
    for target, entering in groupby(space.arcs, key=lambda arc: arc.target):
        ways = [list(own) for _, own in groupby(entering, key=owner)]
        mean = space.nodes[target].join == "mean"
        factor = lcm(*range(1, len(ways) + 1)) if mean else 1
        kept = [[totals[arc.source] for arc in way if _hands_on(space, arc)] for way in ways]
        totals[target] = sum(factor * max([1, *own]) for own in kept)
    return max(totals.values())


def _hands_on(space: "SearchSpace", arc: Arc) -> bool:
    return arc.part is None or adds_input(space.parts[arc.part])


def _merge(entering: list[tuple[NDArray[Any], int]], *, mean: bool) -> tuple[NDArray[Any], int]:
    if not mean:
        return sum((row for row, _ in entering[1:]), start=entering[0][0]), 1
    common = lcm(*(scale for _, scale in entering))
    total = sum((row * (common // scale) for row, scale in entering), start=entering[0][0] * 0)
    scale = common * len(entering)
    shared = gcd(scale, *(int(value) for value in total if value))
    return total // shared, scale // shared


def _rank(arcs: NDArray[Any], shapes: list[tuple[Any, ...]]) -> SymbolGraph:
    ordered = sorted(set(shapes), key=_sortable)
    place = {shape: rank for rank, shape in enumerate(ordered)}
    coefficients, ranks = np.unique(arcs, return_inverse=True)
    names = repr((ordered, coefficients.tolist())).encode()
    labels = np.array([place[shape] for shape in shapes], np.int64)
    return SymbolGraph(labels, ranks.reshape(arcs.shape).astype(np.int64), names)


def _sortable(shape: tuple[Any, ...]) -> list[tuple[bool, Any]]:
    """Let numbers come before texts, which Python does not compare."""
    return [(isinstance(value, str), value) for value in shape]


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
