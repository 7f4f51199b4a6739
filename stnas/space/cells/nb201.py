"""The cells of NAS-Bench-201 (Dong & Yang 2020): four nodes, six edges, five operations."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnas.config.sharing import LEVELS
from stnas.space import recipe
from stnas.space.builder import SpaceBuilder
from stnas.space.cells.mixture import Mixture
from stnas.space.cells.nb201_text import EDGES, read
from stnas.space.cells.parts import Average, Convolve, Halve, Zero
from stnas.space.cells.sharing import Mixed, Module
from stnas.space.genotype import Genotype, Genotypes
from stnas.space.graph import Arc, Gene, Node
from stnas.space.part import Part
from stnas.space.tilt import Tilt
from stnas.space.value import SearchSpace

OPERATIONS = ("none", "skip", "conv1", "conv3", "pool")
"""In gene order, which is that of the benchmark's keys."""
NONE, SKIP, POOL = 0, 1, 4


@dataclass(frozen=True)
class Spec:
    """Fix everything that the networks share: ``cells`` a stage, ``channels`` in the first.

    There are three stages, each of half the pixels and twice the channels of the one before.
    """

    channels: int = 16
    cells: int = 5
    image_size: int = 32
    in_channels: int = 3
    num_classes: int = 10

    def __post_init__(self) -> None:
        """Check the fields; raise ValueError or TypeError that names the key."""
        for field in fields(self):
            recipe.check_size(field.name, getattr(self, field.name))
        if self.image_size < 5:
            raise ValueError(
                "space.image_size must be at least 5 with space.family nb201, which halves it"
                f" twice, got {self.image_size}: give larger images"
            )

    @classmethod
    def from_json(cls, value: Any) -> "Spec":
        """Read what ``recipe.to_json`` wrote."""
        return recipe.from_json(cls, value)


PROFILES = {
    "paper": Spec(),
    "small": Spec(cells=1),
    "micro": Spec(channels=8, cells=1),
}
"""paper is the benchmark's network."""


Terms = dict[Any, int]
"""A sum: how often each term is in it. A term is the input, an operation on a sum, or the pooling
of a term."""


def terms(genotype: Genotype) -> Terms:
    """Return the result of a cell as a sum of terms; without any where it ignores the image.

    Zeros are dropped, skips are put in place, and pooling, which is linear, is distributed over
    sums: 4,660 different results of 15,625 cells.
    """
    nodes: list[Terms] = [{"x": 1}]
    for target in range(1, 4):
        total = Counter[Any]()
        for (source, end), operation in zip(EDGES, genotype.tolist(), strict=True):
            if end == target:
                total.update(_applied(operation, nodes[source]))
        nodes.append(dict(total))
    return nodes[-1]


def _applied(operation: int, value: Terms) -> Terms:
    if operation == NONE or not value:
        return {}
    if operation == SKIP:
        return value
    if operation == POOL:
        return {("pool", term): count for term, count in value.items()}
    return {(operation, tuple(sorted(value.items(), key=repr))): 1}


def canonical(genotype: Genotype) -> str:
    """Return a text that is equal for cells with the same result."""
    return repr(sorted(terms(genotype).items(), key=repr))


def reads_images(genotypes: Genotypes) -> NDArray[np.bool_]:
    """Tell which cells ``[n, 6]`` depend on their input: all but 341."""
    return np.array([_reads(row.tobytes()) for row in genotypes], np.bool_)


@cache
def _reads(genes: bytes) -> bool:
    return bool(terms(np.frombuffer(genes, np.int8)))


def build(spec: Spec) -> SearchSpace:
    """Build the space of a description: one gene an edge, which decides it in every cell."""
    builder = SpaceBuilder("nb201")
    node = builder.stem(spec.channels, spec.image_size)
    arcs: list[Arc] = []
    for stage in range(3):
        if stage:
            halve = Halve(builder.width(node), 2 * builder.width(node), -(-builder.size(node) // 2))
            before, node = node, builder.node(halve.out_channels, halve.out_size)
            builder.parts[f"halve{stage}"] = halve
            arcs.append(Arc(before, node, f"halve{stage}"))
        for place in range(spec.cells):
            nodes = [node, *(builder.node(builder.width(node), builder.size(node)) for _ in "123")]
            arcs += cell(builder, f"cell{stage * spec.cells + place}", nodes)
            node = nodes[-1]
    builder.arcs = arcs
    builder.genes = [Gene(f"edge{i}{j}", OPERATIONS) for i, j in EDGES]
    space = builder.build(
        tail=builder.width(node),
        classes=spec.num_classes,
        channels=spec.in_channels,
        activation="relu",
        dropout=0.0,
        recipe={"family": "nb201", **recipe.to_json(spec)},
        prefix="nb",
    )
    head = replace(space.head, stem_activation="identity", features="norm")
    space = replace(space, head=head)
    return replace(
        space,
        fingerprint=recipe.fingerprint({"family": "nb201"}, without=()),
        prior=Tilt.of(space),
        reader=read,
        identity=canonical,
        useful=reads_images,
        mixture=Mixture(
            choices=OPERATIONS,
            rows=len(EDGES),
            edges=tuple(mixed_edges(space)),
            derive=lambda weights: weights.argmax(1).astype(np.int8),
            fixed=space.madds_cost.least,
            levels=LEVELS[:4],
            names=lambda cell: [OPERATIONS[gene] for gene in cell.tolist()],
        ),
    )


def mixed_edges(space: SearchSpace) -> Iterator[Mixed]:
    """Yield the edges of all cells with the modules of their candidates."""
    for _, own in groupby(space.arcs, key=lambda arc: (arc.source, arc.target)):
        arcs = list(own)
        if arcs[0].when:
            node = space.nodes[arcs[0].source]
            keys = [arc.part for arc in arcs]
            yield Mixed(
                arcs[0].source,
                arcs[0].target,
                arcs[0].when[0][0],
                tuple(key if key and "." in key else None for key in keys),
                tuple(sequence(operation, node) for operation in OPERATIONS),
            )


def sequence(operation: str, node: Node) -> tuple[Module, ...] | None:
    """Return the modules of an operation on a node; None for the one that computes nothing."""
    width, pixels = node.width, node.resolution**2
    if operation == "none":
        return None
    if operation == "skip":
        return ()
    if operation == "pool":
        return (Module("average", width, width, pixels, kernel=3),)
    kernel = int(operation.removeprefix("conv"))
    return (
        Module("relu", width, width, pixels),
        Module("conv", width, width, pixels, kernel=kernel),
        Module("bn", width, width, pixels),
    )


def cell(builder: SpaceBuilder, name: str, nodes: list[int]) -> Iterator[Arc]:
    """Add the parts of a cell and yield its arcs; nodes: its four nodes."""
    width, size = builder.width(nodes[0]), builder.size(nodes[0])
    for gene, (i, j) in enumerate(EDGES):
        parts: dict[str, Part | None] = {
            f"none{width}": Zero(width),
            "": None,
            f"{name}.edge{i}{j}.conv1": Convolve(width, width, 1, size),
            f"{name}.edge{i}{j}.conv3": Convolve(width, width, 3, size),
            f"pool{width}": Average(width),
        }
        for choice, (key, part) in enumerate(parts.items()):
            if part is not None:
                builder.parts[key] = part
            yield Arc(nodes[i], nodes[j], key or None, when=((gene, choice),))
