"""From the genes of an architecture to its arcs."""

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

from stnas.space.graph import Arc, Gene, owner

Decoder = Callable[[list[int]], tuple[Arc, ...]]
"""Returns the arcs of an architecture, in order, for its genes."""


def decoder(genes: tuple[Gene, ...], arcs: tuple[Arc, ...]) -> Decoder:
    """Index the arcs: each run of them that one gene decides by the gene's choice."""
    runs = list(_runs(genes, arcs))

    def decode(row: list[int]) -> tuple[Arc, ...]:
        return tuple(arc for gene, ways in runs for arc in ways(row if gene is None else row[gene]))

    return decode


def _runs(genes: tuple[Gene, ...], arcs: tuple[Arc, ...]) -> Iterable[tuple[int | None, Any]]:
    for own, members in groupby(arcs, key=owner):
        run = tuple(members)
        if len(run[0].when) == 1:
            choices = range(len(genes[own[0]].choices))
            table = [tuple(a for a in run if a.when[0][1] == choice) for choice in choices]
            yield own[0], table.__getitem__
        else:
            yield None, lambda row, run=run: [arc for arc in run if holds(arc, row)]


def holds(arc: Arc, genes: list[int]) -> bool:
    """Tell whether all conditions of an arc hold for a genotype."""
    return all(genes[gene] == choice for gene, choice in arc.when)
