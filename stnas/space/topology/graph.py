"""Edges and operations of the topology augmented search space, and the space made of them."""

from dataclasses import dataclass
from typing import Literal

from stnas.space.graph import Arc, Gene, Head, Node
from stnas.space.topology.bottleneck import Bottleneck
from stnas.space.topology.spec import SpaceSpec
from stnas.space.value import SearchSpace


@dataclass(frozen=True)
class Operation:
    """One candidate of a choice block; kernel and expand are 0 unless it is a bottleneck."""

    kind: Literal["none", "identity", "bottleneck"]
    kernel: int = 0
    expand: int = 0

    @property
    def name(self) -> str:
        """Return the short name: ``k3e6``, ``identity`` or ``none``."""
        return f"k{self.kernel}e{self.expand}" if self.kind == "bottleneck" else self.kind


NONE = Operation("none")
IDENTITY = Operation("identity")


@dataclass(frozen=True)
class Edge:
    """One choice block between two nodes; a gene's value is an index into ``choices``.

    index: position of its gene. residual: whether a bottleneck on this edge adds its input.
    """

    index: int
    source: int
    target: int
    kind: Literal["stem", "branch"]
    distance: int
    stride: int
    in_channels: int
    out_channels: int
    in_resolution: int
    out_resolution: int
    choices: tuple[Operation, ...]
    residual: bool

    @property
    def name(self) -> str:
        """Return ``v1->v2``."""
        return f"v{self.source + 1}->v{self.target + 1}"

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Return the choices other than none."""
        return tuple(op for op in self.choices if op.kind != "none")


def build_nodes(spec: SpaceSpec) -> tuple[Node, ...]:
    """List the nodes: ``ceil(image / stem_stride)`` pixels, then ``ceil(h / 2)`` a stage."""
    nodes: list[Node] = []
    resolution = -(-spec.image_size // spec.stem_stride)
    for stage, (count, width) in enumerate(zip(spec.stages, spec.widths, strict=True)):
        if stage:
            resolution = -(-resolution // 2)
        nodes += [Node(len(nodes) + i, stage, width, resolution, spec.merge) for i in range(count)]
    return tuple(nodes)


def build_edges(spec: SpaceSpec, nodes: tuple[Node, ...]) -> tuple[Edge, ...]:
    """List the edges in gene order: by target node, there the stem edge and rising distances.

    An edge over stages has stride ``2 ** stages``; with padding ``kernel // 2`` a convolution
    gives ``ceil(h / stride)``, and ``ceil(ceil(h / 2) / 2) = ceil(h / 4)``, so all edges into a
    node agree. Source: Guo et al. 2020, section 3.1.
    """
    edges: list[Edge] = []
    for target in nodes[1:]:
        for distance in (1, *spec.branch_distances):
            if distance <= target.index:
                source = nodes[target.index - distance]
                edges.append(_edge(spec, len(edges), source, target))
    return tuple(edges)


def _edge(spec: SpaceSpec, index: int, source: Node, target: Node) -> Edge:
    stem = target.index - source.index == 1
    same = source.stage == target.stage
    bottlenecks = [Operation("bottleneck", k, e) for k in spec.kernels for e in spec.expands]
    return Edge(
        index=index,
        source=source.index,
        target=target.index,
        kind="stem" if stem else "branch",
        distance=target.index - source.index,
        stride=2 ** (target.stage - source.stage),
        in_channels=source.width,
        out_channels=target.width,
        in_resolution=source.resolution,
        out_resolution=target.resolution,
        choices=(*([] if stem else [NONE]), *bottlenecks, *([IDENTITY] if same else [])),
        residual=same and (spec.residual == "all" or (spec.residual == "stem" and stem)),
    )


def build(spec: SpaceSpec) -> SearchSpace:
    """Build the topology augmented space of a description (Guo et al. 2020, section 3.1).

    One gene an edge. Raises ValueError where the largest network passes 2**62.
    """
    nodes = build_nodes(spec)
    edges = build_edges(spec, nodes)
    return SearchSpace(
        genes=tuple(
            Gene(edge.name, tuple(op.name for op in edge.choices), edge.kind == "branch")
            for edge in edges
        ),
        nodes=nodes,
        arcs=tuple(
            Arc(
                edge.source,
                edge.target,
                part_key(edge, operation) if operation.kind == "bottleneck" else None,
                when=((edge.index, choice),),
            )
            for edge in edges
            for choice, operation in enumerate(edge.choices)
            if operation.kind != "none"
        ),
        parts={
            part_key(edge, operation): bottleneck(spec, edge, operation)
            for edge in edges
            for operation in edge.choices
            if operation.kind == "bottleneck"
        },
        head=Head(
            in_channels=spec.in_channels,
            image_size=spec.image_size,
            num_classes=spec.num_classes,
            stem_stride=spec.stem_stride,
            tail_width=spec.tail_width,
            activation=spec.activation,
            dropout=spec.dropout,
        ),
        recipe=spec.to_json(),
        fingerprint=spec.fingerprint,
    )


def edges_of(space: SearchSpace) -> tuple[Edge, ...]:
    """List the edges of a space that ``build`` made."""
    spec = spec_of(space)
    return build_edges(spec, build_nodes(spec))


def spec_of(space: SearchSpace) -> SpaceSpec:
    """Return the description of a space that ``build`` made."""
    return SpaceSpec.from_json(space.recipe)


def part_key(edge: Edge, operation: Operation) -> str:
    """Name the bottleneck of an edge."""
    return f"{edge.index}.{operation.name}"


def bottleneck(spec: SpaceSpec, edge: Edge, operation: Operation) -> Bottleneck:
    """Make the bottleneck of an edge; its SE width is ``max(1, floor(se_ratio * C_in))``."""
    return Bottleneck(
        in_channels=edge.in_channels,
        out_channels=edge.out_channels,
        kernel=operation.kernel,
        expand=operation.expand,
        stride=edge.stride,
        in_size=edge.in_resolution,
        out_size=edge.out_resolution,
        squeeze=max(1, int(spec.se_ratio * edge.in_channels)),
        activation=spec.activation,
        residual=edge.residual,
    )
