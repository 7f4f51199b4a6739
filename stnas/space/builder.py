"""Build a search space of one's own, node by node."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from stnas.config.space import Activation
from stnas.space.cost import Cost
from stnas.space.graph import Arc, Gene, Head, Join, Node
from stnas.space.part import Part
from stnas.space.recipe import VERSION, fingerprint
from stnas.space.value import SearchSpace

NONE = "none"


class Form(NamedTuple):
    """A choice that is one form of a part, whose other forms are choices of the same gene.

    key: the part's name, which those have in common. option: the form.
    """

    key: str
    part: Part
    option: int


class SpaceBuilder:
    """Collects nodes, genes and arcs; ``build`` makes the space of them.

    A node is named by the number that ``stem``, ``node`` and ``choose`` return. Where nothing is
    said of a choice's part, None, it is the identity.
    """

    def __init__(self, name: str) -> None:
        """Begin a space without nodes; the name stands in messages."""
        self.name = name
        self.genes: list[Gene] = []
        self.nodes: list[Node] = []
        self.arcs: list[Arc] = []
        self.parts: dict[str, Part] = {}
        self.stem_stride = 1

    def stem(self, width: int, size: int, *, stride: int = 1) -> int:
        """Add the first node: a 3x3 convolution makes ``width`` channels of ``size`` pixels a side.

        The images have ``stride * size`` pixels a side.
        """
        if self.nodes:
            raise ValueError(f"stem must come once and first, got {len(self.nodes)} nodes before")
        self.stem_stride = stride
        return self.node(width, size)

    def node(self, width: int, size: int, *, join: Join = "sum") -> int:
        """Add a node of ``width`` channels and ``size`` pixels a side."""
        last = self.nodes[-1] if self.nodes else None
        alike = last is not None and (last.width, last.resolution) == (width, size)
        stage = 0 if last is None else last.stage + (not alike)
        self.nodes.append(Node(len(self.nodes), stage, width, size, join))
        return len(self.nodes) - 1

    def width(self, node: int) -> int:
        """Return the channels of a node."""
        return self.nodes[node].width

    def size(self, node: int) -> int:
        """Return the pixels a side of a node."""
        return self.nodes[node].resolution

    def choose(
        self,
        source: int,
        name: str,
        choices: Mapping[str, Part | Form | None],
        *,
        join: Join = "sum",
    ) -> int:
        """Add a node behind another, and the gene that chooses what makes it; return the node."""
        parts = [part for part in map(part_of, choices.values()) if part is not None]
        width = parts[0].out_channels if parts else self.width(source)
        size = -(-self.size(source) // parts[0].stride) if parts else self.size(source)
        target = self.node(width, size, join=join)
        self.edge(source, target, name, choices)
        return target

    def edge(
        self,
        source: int,
        target: int,
        name: str,
        choices: Mapping[str, Part | Form | None],
        *,
        optional: bool = False,
    ) -> None:
        """Let a gene choose what leads from a node to the newest one.

        optional: the gene has a first choice ``none`` besides, which leaves the edge out.
        """
        if target != len(self.nodes) - 1 or not 0 <= source < target:
            raise ValueError(
                f"edge {name} must lead to the newest node {len(self.nodes) - 1} from one before"
                f" it, got {source} to {target}: add the edges of a node right behind it"
            )
        self._check_choices(source, target, name, choices)
        gene = len(self.genes)
        names = (*([NONE] if optional else []), *choices)
        self.genes.append(Gene(name, names, optional))
        for choice, (own, made) in enumerate(choices.items(), start=int(optional)):
            word, part, option = made if isinstance(made, Form) else (own, made, 0)
            key = None if part is None else f"{name}.{word}"
            if key is not None and part is not None:
                self.parts[key] = part
            self.arcs.append(Arc(source, target, key, option, when=((gene, choice),)))

    def _check_choices(
        self, source: int, target: int, name: str, choices: Mapping[str, Part | Form | None]
    ) -> None:
        """Refuse names that no module can have, and parts whose shapes do not fit the nodes."""
        taken = {gene.name for gene in self.genes}
        words = [own.key if isinstance(own, Form) else word for word, own in choices.items()]
        for word in (name, *words):
            if not word.isidentifier() or name in taken or NONE in choices:
                raise ValueError(
                    f"names must be words of letters, digits and _ that are not taken and not"
                    f" {NONE}, got {word!r} in {name!r}: rename it"
                )
        if not choices or len(choices) > 35:
            raise ValueError(f"edge {name} must have 1 to 35 choices, got {len(choices)}")
        begin, end = self.nodes[source], self.nodes[target]
        for own, part in zip(choices, map(part_of, choices.values()), strict=True):
            shape = (begin.width, begin.width, 1)
            if part is not None:
                shape = (part.in_channels, part.out_channels, part.stride)
            wanted = (begin.width, end.width)
            size = -(-begin.resolution // shape[2])
            if shape[:2] != wanted or size != end.resolution:
                raise ValueError(
                    f"choice {own!r} of {name!r} must turn {begin.width} channels of"
                    f" {begin.resolution} pixels a side into {end.width} of {end.resolution}, got a"
                    f" part from {shape[0]} to {shape[1]} channels with stride {shape[2]}: change"
                    " the part or the node"
                )

    def build(
        self,
        *,
        tail: int,
        classes: int,
        channels: int = 3,
        activation: Activation = "relu6",
        dropout: float = 0.2,
        bias: bool = True,
        costs: tuple[Cost, ...] = (),
        recipe: Mapping[str, Any] | None = None,
        prefix: str = "st",
    ) -> SearchSpace:
        """Return the space: ``tail`` channels before the classifier, images of ``channels``.

        bias: whether the classifier has one. costs: further costs that search and report may use.
        recipe, prefix: of a family of spaces.
        Raises ValueError for a node that nothing enters.
        """
        if len(self.nodes) < 2:
            raise ValueError(f"{self.name} must have 2 nodes or more, got {len(self.nodes)}")
        for node in self.nodes[1:]:
            arcs = [arc for arc in self.arcs if arc.target == node.index]
            entering = {gene for arc in arcs for gene, _ in arc.when}
            always = any(not arc.when for arc in arcs)
            if not always and all(self.genes[gene].optional for gene in entering):
                raise ValueError(
                    f"{self.name} must have an edge into {node.name} that is not optional, got"
                    f" {len(entering)} optional ones: add one"
                )
        head = Head(
            in_channels=channels,
            image_size=self.nodes[0].resolution * self.stem_stride,
            num_classes=classes,
            stem_stride=self.stem_stride,
            tail_width=tail,
            activation=activation,
            dropout=dropout,
            bias=bias,
        )
        return SearchSpace(
            genes=tuple(self.genes),
            nodes=tuple(self.nodes),
            arcs=tuple(self.arcs),
            parts=self.parts,
            head=head,
            recipe={"version": VERSION, "built": self.name} if recipe is None else recipe,
            fingerprint=self._fingerprint(tail, activation),
            prefix=prefix,
            more_costs=costs,
        )

    def _fingerprint(self, tail: int, activation: Activation) -> str:
        """Hash what fixes the meaning of the genes; sizes of images and classes are left out."""
        named = {
            "genes": [repr(gene) for gene in self.genes],
            "nodes": [(node.width, node.join) for node in self.nodes],
            "arcs": self.arcs,
            "parts": {key: repr(part) for key, part in self.parts.items()},
            "ends": (self.stem_stride, tail, activation),
        }
        return fingerprint(named, without=())


def part_of(choice: Part | Form | None) -> Part | None:
    """Return the part of a choice."""
    return choice.part if isinstance(choice, Form) else choice
