"""The space of DARTS (Liu et al. 2019): cells of four nodes that read the two cells before."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnas.config.sharing import LEVELS
from stnas.space import recipe
from stnas.space.builder import SpaceBuilder
from stnas.space.cells.darts_parts import Fitted, Halved, Pool, Separable
from stnas.space.cells.darts_text import KINDS, NODES, PAIRS, PUBLISHED, cells, choices, read
from stnas.space.cells.mixture import Mixture
from stnas.space.cells.sharing import Mixed, Module
from stnas.space.genotype import Genotype, gene_digits
from stnas.space.graph import Arc, Gene
from stnas.space.part import Part
from stnas.space.value import SearchSpace

OPERATIONS = ("none", "maximum", "average", "skip", "sep3", "sep5", "dil3", "dil5")
EDGES = tuple((source, node) for node in NODES for source in range(node))
"""Source and target of the 14 edges of a cell, whose rows of alpha are in this order."""
STEM = 3
"""Channels of the stem over those of the first cells."""


@dataclass(frozen=True)
class Spec:
    """Fix what the networks share: ``cells`` of which two reduce, ``channels`` in the first."""

    channels: int = 16
    cells: int = 8
    image_size: int = 32
    in_channels: int = 3
    num_classes: int = 10

    def __post_init__(self) -> None:
        """Check the fields; raise ValueError or TypeError that names the key."""
        for field in fields(self):
            recipe.check_size(field.name, getattr(self, field.name))
        for name, least in (("cells", 3), ("channels", 2), ("image_size", 5)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"space.{name} must be at least {least} with space.family darts, got"
                    f" {getattr(self, name)}: two cells halve the pixels; use {least} or more"
                )
        if self.channels % 2:
            raise ValueError(
                f"space.channels must be even with space.family darts, got {self.channels}: two"
                f" halves stand side by side where pixels are halved; take {self.channels + 1}"
            )

    @classmethod
    def from_json(cls, value: Any) -> "Spec":
        """Read what ``recipe.to_json`` wrote."""
        return recipe.from_json(cls, value)


PROFILES = {
    "paper": Spec(),
    "small": Spec(cells=5),
    "micro": Spec(channels=8, cells=3),
    "paper_large": Spec(channels=36, cells=20),
}
"""paper is the authors' hyper-network, paper_large their network for CIFAR-10."""


class Cells:
    """Builds the nodes and arcs of all cells, and the edges that are mixed."""

    def __init__(self, spec: Spec) -> None:
        self.builder = SpaceBuilder("darts")
        self.arcs: list[Arc] = []
        self.mixed: list[Mixed] = []
        self.spec = spec

    def build(self) -> int:
        """Add everything, and return the last node."""
        spec, before, last = self.spec, 0, 0
        self.builder.stem(STEM * spec.channels, spec.image_size)
        width, reductions = spec.channels, (spec.cells // 3, 2 * spec.cells // 3)
        for number in range(spec.cells):
            reduces = number in reductions
            width *= 1 + reduces
            inputs = (
                self._fit(f"cell{number}_first", before, last, width),
                self._fit(f"cell{number}_second", last, last, width),
            )
            before, last = last, self._cell(f"cell{number}", inputs, reduces)
        return last

    def _fit(self, key: str, source: int, last: int, width: int) -> int:
        """Add the node of a cell's input, of the last cell's size."""
        builder = self.builder
        size = builder.size(last)
        same = builder.size(source) == size
        kind = Fitted if same else Halved
        builder.parts[key] = kind(builder.width(source), width, size)
        target = builder.node(width, size)
        self.arcs.append(Arc(source, target, key))
        return target

    def _cell(self, name: str, inputs: tuple[int, int], reduces: bool) -> int:
        """Add a cell's nodes and edges, and the node of its result."""
        builder, width = self.builder, self.builder.width(inputs[1])
        size = builder.size(inputs[1])
        size = -(-size // 2) if reduces else size
        nodes = list(inputs)
        for node in NODES:
            nodes.append(builder.node(width, size))
            for source in range(node):
                stride = 2 if reduces and source < 2 else 1
                self._edge(f"{name}.edge{source}{node}", nodes, source, node, stride, reduces)
        result = builder.node(len(NODES) * width, size, join="concat")
        self.arcs += [Arc(nodes[node], result) for node in NODES]
        return result

    def _edge(
        self, name: str, nodes: list[int], source: int, node: int, stride: int, reduces: bool
    ) -> None:
        builder = self.builder
        width, size = builder.width(nodes[node]), builder.size(nodes[node])
        parts = candidates(width, stride, size)
        keys = [None if part is None else f"{name}.{own}" for own, part in parts.items()]
        builder.parts.update(
            {f"{name}.{own}": part for own, part in parts.items() if part is not None}
        )
        gene = 12 * reduces + 3 * (node - 2)
        for number, pair in enumerate(PAIRS[node]):
            if source in pair:
                own = gene + 1 + pair.index(source)
                for choice, key in enumerate(keys):
                    when = ((gene, number), (own, choice))
                    self.arcs.append(Arc(nodes[source], nodes[node], key, when=when))
        row = len(EDGES) * reduces + EDGES.index((source, node))
        sequences = tuple(sequence(own, width, stride, size) for own in OPERATIONS)
        self.mixed.append(Mixed(nodes[source], nodes[node], row, (None, *keys), sequences))


def candidates(width: int, stride: int, size: int) -> dict[str, Part | None]:
    """Return the parts of the operations, in the order of the choices."""
    shape = (width, stride, size)
    return {
        "maximum": Pool(*shape, kind="maximum"),
        "average": Pool(*shape, kind="average"),
        "skip": None if stride == 1 else Halved(width, width, size),
        "sep3": Separable(*shape, kernel=3),
        "sep5": Separable(*shape, kernel=5),
        "dil3": Separable(*shape, kernel=3, times=1, dilation=2),
        "dil5": Separable(*shape, kernel=5, times=1, dilation=2),
    }


def sequence(operation: str, width: int, stride: int, size: int) -> tuple[Module, ...] | None:
    """Return the modules of an operation; None for the one that computes nothing."""
    base = Module("relu", width, width, size**2)
    if operation == "none":
        return None
    if operation in ("maximum", "average"):
        return (base._replace(kind=operation, kernel=3, stride=stride, norm=True),)
    norm = base._replace(kind="bn")
    if operation == "skip":
        return () if stride == 1 else (base, base._replace(kind="halved", stride=2), norm)
    kernel, dilated = int(operation[-1]), operation.startswith("dil")
    point = base._replace(kind="pointwise")
    depth = base._replace(kind="depthwise", kernel=kernel, grid=1 + dilated)
    first = (base, depth._replace(stride=stride), point, norm)
    return first if dilated else (*first, base, depth, point, norm)


def derive(weights: NDArray[np.float64]) -> Genotype:
    """Return the cells of weights ``[28, 8]``: of each node the two best inputs by their best
    operation other than none, and that operation; the lower index on a tie.
    """
    genes = []
    for start in (0, len(EDGES)):
        cell = {}
        for node in NODES:
            rows = [start + EDGES.index((source, node)) for source in range(node)]
            best = np.array([weights[row, 1:].max() for row in rows])
            chosen = sorted(np.argsort(-best, kind="stable")[:2].tolist())
            first, second = ((i, 1 + int(weights[rows[i], 1:].argmax())) for i in chosen)
            cell[node] = (first, second)
        genes += choices(cell)
    return np.array(genes, np.int8)


def operations(genotype: Genotype) -> list[str]:
    """List the operations of both cells."""
    return [OPERATIONS[own] for cell in cells(genotype) for node in NODES for _, own in cell[node]]


def make_genes() -> Iterator[Gene]:
    """Yield three genes a node: its pair of inputs, and the operations on them."""
    for kind in KINDS:
        for node in NODES:
            pairs = tuple(f"i{first}_{second}" for first, second in PAIRS[node])
            yield Gene(f"{kind}{node}_inputs", pairs)
            yield Gene(f"{kind}{node}_first", OPERATIONS[1:])
            yield Gene(f"{kind}{node}_second", OPERATIONS[1:])


def build(spec: Spec) -> SearchSpace:
    """Build the space of a description."""
    made = Cells(spec)
    last, builder = made.build(), made.builder
    builder.arcs, builder.genes = made.arcs, list(make_genes())
    space = builder.build(
        tail=builder.width(last),
        classes=spec.num_classes,
        channels=spec.in_channels,
        activation="relu",
        dropout=0.0,
        recipe={"family": "darts", **recipe.to_json(spec)},
        prefix="da",
    )
    head = replace(space.head, stem_activation="identity", features="none")
    space = replace(space, head=head)
    mixture = Mixture(
        choices=OPERATIONS,
        rows=2 * len(EDGES),
        edges=tuple(made.mixed),
        derive=derive,
        fixed=space.madds_cost.fixed,
        levels=LEVELS,
        names=operations,
    )
    return replace(
        space,
        fingerprint=recipe.fingerprint({"family": "darts"}, without=()),
        reader=read,
        identity=gene_digits,
        mixture=mixture,
    )


assert len(PUBLISHED) == len(OPERATIONS)
