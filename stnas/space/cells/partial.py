"""Cells of which every operation gets a part of the channels (PC-DARTS, Xu et al. 2020)."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from stnas.space.cells.even import Even
from stnas.space.cells.mixture import Mixture
from stnas.space.cells.sharing import Mixed
from stnas.space.graph import Arc
from stnas.space.part import Layer, Part
from stnas.space.value import SearchSpace


@dataclass(frozen=True)
class Partial(Even):
    """An operation on the first of ``parts`` parts of the channels; the others pass it by.

    All are side by side in the result and shuffled. inner: the operation, None for the identity.
    stride: what passes by is pooled at stride 2.
    """

    parts: int
    stride: int
    inner: Part | None

    def layers(self, option: int = 0) -> dict[str, Layer]:
        """Count the operation."""
        return {} if self.inner is None else dict(self.inner.layers(option))


def partial_space(space: SearchSpace, parts: int) -> SearchSpace:
    """Return the space of the same cells whose operations get the first of ``parts`` parts.

    An operation that computes nothing lets the other channels through. It is the space of the
    hyper-network alone: networks have all channels in their operations.
    """
    mixture = space.mixture
    assert mixture is not None
    arcs, made = list[Arc](), dict[str, Part]()
    for arc in space.arcs:
        own = None if arc.part is None else space.parts[arc.part]
        key = _key(arc.source, arc.target, arc.when[-1][1]) if arc.when else arc.part
        if arc.when:
            width, stride = space.nodes[arc.source].width, 1 if own is None else own.stride
            own = Partial(width, parts, stride, None if own is None else narrowed(own, parts))
        if key is not None and own is not None:
            made[key] = own
        arcs.append(arc._replace(part=key))
    return replace(
        space,
        arcs=tuple(arcs),
        parts=made,
        recipe={**space.recipe, "partial": parts},
        mixture=replace(mixture, edges=tuple(_edges(space, mixture, parts)), parts=parts),
    )


def _key(source: int, target: int, choice: int) -> str:
    return f"partial{source}_{target}_{choice}"


def _edges(space: SearchSpace, mixture: Mixture, parts: int) -> Iterator[Mixed]:
    """Yield the mixed edges with narrow modules, and the parts of their candidates."""
    gene = next(arc.when[-1][0] for arc in space.arcs if arc.when)
    without = len(mixture.choices) - len(space.genes[gene].choices)
    for edge in mixture.edges:
        keys = tuple(
            _key(edge.source, edge.target, number - without) if number >= without else None
            for number in range(len(mixture.choices))
        )
        sequences = tuple(
            None
            if modules is None
            else tuple(
                own._replace(before=own.before // parts, after=own.after // parts)
                for own in modules
            )
            for modules in edge.sequences
        )
        yield replace(edge, keys=keys, sequences=sequences)


def narrowed(part: Any, parts: int) -> Any:
    """Return an operation on one of ``parts`` parts of its channels."""
    widths = {"channels", "in_channels", "out_channels"} & {own.name for own in fields(part)}
    return replace(part, **{name: getattr(part, name) // parts for name in widths})
