"""Cells each of whose nodes reads all nodes before it, which one operator computes."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from stnas.config.sharing import Level
from stnas.ops import merged_kernels, mixed_cell
from stnas.space import SearchSpace
from stnas.space.cells.sharing import Branch, Mixed, rewrite
from stnas.supernet.mixture.edge import MixedEdge
from stnas.supernet.mixture.shares import Shares, shares_within, weights_of


class Slot(NamedTuple):
    """A convolution of an edge: its size, and the candidates whose kernels are merged to it."""

    size: int
    members: tuple[int, ...]


class Form(NamedTuple):
    """What an edge computes: the identity, the mean over 3x3, and convolutions with their BN."""

    skip: tuple[int, ...]
    pool: tuple[int, ...]
    slots: tuple[Slot, ...]


class Cell(NamedTuple):
    """Nodes ``first`` to ``last``.

    edges: their numbers, by target and then by source. leaving: the places among them of those that
    leave each node, by target.
    """

    first: int
    last: int
    edges: tuple[int, ...]
    leaving: tuple[tuple[int, ...], ...]
    form: Form


def leaving(nodes: int) -> tuple[tuple[int, ...], ...]:
    """Return the places of the edges that leave each node but the last of so many others."""
    return tuple(
        tuple(target * (target - 1) // 2 + source for target in range(source + 1, nodes + 1))
        for source in range(nodes)
    )


def find_cells(space: SearchSpace, level: Level) -> dict[int, Cell]:
    """Return the cells of a space by the first node that they compute.

    All channels pass the mixtures of their edges, which have one form; nothing else enters the
    nodes, which are sums, and nothing else reads those between the first and the last.
    """
    assert space.mixture is not None
    edges, found = space.mixture.edges, dict[int, Cell]()
    for run in dense_runs(space):
        own = tuple(number for number, edge in enumerate(edges) if edge.target in run)
        forms = {form_of(edges[number], level) for number in own}
        form = next(iter(forms))
        inner, inside = set(run[:-1]), {edges[number] for number in own}
        sources = [edge.source for edge in edges if edge not in inside]
        sources += [arc.source for arc in space.arcs if not arc.when]
        if len(forms) == 1 and form is not None and inner.isdisjoint(sources):
            found[run[0]] = Cell(run[0] - 1, run[-1], own, leaving(len(run)), form)
    return found


def dense_runs(space: SearchSpace) -> Iterator[list[int]]:
    """Yield the longest rows of nodes that read all nodes before them from a first one on."""
    assert space.mixture is not None
    sources: dict[int, list[int]] = {}
    for edge in space.mixture.edges:
        sources.setdefault(edge.target, []).append(edge.source)
    others = {arc.target for arc in space.arcs if not arc.when}
    run: list[int] = []
    for node in space.nodes[1:]:
        own = sources.get(node.index, [])
        plain = node.join == "sum" and node.index not in others and space.mixture.parts == 1
        if run and not (plain and own == list(range(run[0] - 1, node.index))):
            yield run
            run = []
        if run or (plain and own == [node.index - 1]):
            run.append(node.index)
    if run:
        yield run


def form_of(edge: Mixed, level: Level) -> Form | None:
    """Return the form of an edge; None where it has another."""
    skip: tuple[int, ...] = ()
    pool: tuple[int, ...] = ()
    slots = list[Slot]()
    for group in rewrite(edge.sequences, level):
        branch = group.branches[0]
        kinds = [link.modules[0].kind for link in branch.links]
        slot = slot_of(branch) if kinds == ["relu", "conv", "bn"] else None
        if group.tail:
            return None
        if not kinds:
            skip = branch.members
        elif kinds == ["average"] and is_even(branch):
            pool = branch.members
        elif slot is not None:
            slots.append(slot)
        else:
            return None
    return Form(skip, pool, tuple(slots)) if skip and pool else None


def slot_of(branch: Branch) -> Slot | None:
    """Return the convolution of a branch; None where its results, not its kernels, are mixed."""
    link = branch.links[1]
    if not is_even(branch) or len(link.applied) > 1:
        return None
    return Slot(link.applied[0].kernel, branch.members)


def is_even(branch: Branch) -> bool:
    """Tell whether a branch keeps channels and pixels, and has no grid and no BN behind a pool."""
    modules = (module for link in branch.links for module in link.modules)
    return all(
        own.before == own.after and own.stride == own.grid == 1 and not own.norm for own in modules
    )


def cell_value(
    x: Tensor, cell: Cell, edges: Sequence[MixedEdge], shares: Sequence[Shares]
) -> Tensor | None:
    """Compute the last node of a cell from its first; None where some candidates are left out.

    edges, shares: of the cell's edges.
    """
    sets = (cell.form.skip, cell.form.pool, *(slot.members for slot in cell.form.slots))
    weights = weights_of(shares, sets)
    if weights is None:
        return None
    order = [place for own in cell.leaving for place in own]
    counts = [len(own) * x.shape[1] for own in cell.leaving]
    split = [
        slot_kernels(slot, [edges[i] for i in order], [shares[i] for i in order])
        for slot in cell.form.slots
    ]
    by_source = zip(*(torch.split(kernels, counts) for kernels in split), strict=True)
    return mixed_cell(x, list(by_source) or [()] * len(counts), weights)


def slot_kernels(slot: Slot, edges: Sequence[MixedEdge], shares: Sequence[Shares]) -> Tensor:
    """Return the kernels of edges one upon the other ``[edges C, C, size, size]``."""
    kernels = [[edge.kernel(member, 1) for member in slot.members] for edge in edges]
    if len(slot.members) == 1:
        return torch.cat([own for (own,) in kernels])
    within = shares_within(shares, slot.members)
    return merged_kernels(kernels, within, size=slot.size, normalise=edges[0].normalise)
