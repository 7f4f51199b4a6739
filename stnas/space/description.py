"""Say what an architecture is made of: names of its arcs, their labels, costs by layer."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stnas.space.genotype import Genotype
from stnas.space.graph import Arc

if TYPE_CHECKING:
    from stnas.space.value import SearchSpace


def describe(space: "SearchSpace", genotype: Genotype) -> list[str]:
    """Return one line per arc that is present: ``v1 -> v2 stem k3e6``."""
    return [
        f"{space.nodes[arc.source].name} -> {space.nodes[arc.target].name} {kind_of(space, arc)} "
        f"{label(space, arc)}"
        for arc in space.arcs_of(genotype)
    ]


def kind_of(space: "SearchSpace", arc: Arc) -> str:
    """Return ``branch`` for an arc that may be left out, ``stem`` for all others."""
    return "branch" if any(space.genes[gene].optional for gene, _ in arc.when) else "stem"


def label(space: "SearchSpace", arc: Arc) -> str:
    """Return the names of the choices that an arc stands for; without any, its part's key."""
    names = [space.genes[gene].choices[choice] for gene, choice in arc.when]
    return " ".join(names) or arc.part or "identity"


def madds_by_layer(space: "SearchSpace", genotype: Genotype) -> dict[str, int]:
    """Count the layers of one genotype ``[genes]``, by names such as ``v1->v2 k3e6 expand``."""
    layers = {
        f"{space.nodes[arc.source].name}->{space.nodes[arc.target].name} {label(space, arc)} "
        f"{name}": layer.madds
        for arc in space.arcs_of(genotype)
        if arc.part is not None
        for name, layer in space.parts[arc.part].layers(arc.option).items()
    }
    ends = {name: layer.madds for name, layer in space.ends.items()}
    return {"stem": ends.pop("stem"), **layers, **ends}


def arc_names(space: "SearchSpace", arcs: tuple[Arc, ...]) -> Iterator[tuple[Arc, str]]:
    """Yield the arcs of an architecture that carry a part with their names: ``v1_v3``.

    A further part between the same nodes has a number behind: ``v1_v3_2``.
    """
    seen: dict[str, int] = {}
    for arc in arcs:
        if arc.part is not None:
            name = f"{space.nodes[arc.source].name}_{space.nodes[arc.target].name}"
            seen[name] = seen.get(name, 0) + 1
            yield arc, name if seen[name] == 1 else f"{name}_{seen[name]}"
