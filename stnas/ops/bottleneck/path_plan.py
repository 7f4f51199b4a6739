"""The order in which the blocks of an architecture are computed and added up."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from torch import Tensor

from stnas.ops.bottleneck.arguments import (
    Norms,
    Options,
    affine_parameters,
    packed,
    running_statistics,
)
from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.ops.layers.reference import BatchNorm


class PathEdge(NamedTuple):
    """An edge of an architecture: a choice block, or the identity where there are no weights."""

    source: int
    target: int
    weights: BottleneckWeights | None = None
    norms: Norms = (BatchNorm(), BatchNorm(), BatchNorm())
    options: Options = Options(1, "relu6", False)
    momentum: float = 0.1


class Step(NamedTuple):
    """A block, or an identity, and what comes with it into its target node.

    source, target: nodes; one that a lone identity enters has the name of the identity's source.
    also: identity edges beside it, by their sources. divisor: of the whole sum, once this is the
    last.
    """

    edge: PathEdge
    source: int
    target: int
    also: tuple[int, ...]
    divisor: int

    @property
    def stride(self) -> int:
        """Return that of the block, 0 of an identity."""
        return 0 if self.edge.weights is None else self.edge.options.stride


def plan(edges: Sequence[PathEdge], *, mean: bool) -> list[Step]:
    """List the blocks in order, identities put to one beside them."""
    steps: list[Step] = []
    names = {edge.source: edge.source for edge in edges[:1]}
    for target, group in groupby(edges, key=lambda edge: edge.target):
        entering = list(group)
        for node in (edge.source for edge in entering if edge.source not in names):
            raise ValueError(
                f"edges must leave nodes that have a value, got node {node} without one at an "
                f"edge to node {target}: sort the edges by their targets"
            )
        if target in names:
            raise ValueError(
                f"edges must come in the order of their targets, got node {target} a second time: "
                "sort the edges by their targets"
            )
        if len(entering) == 1 and entering[0].weights is None:
            names[target] = names[entering[0].source]
            continue
        names[target] = target
        steps += _node_steps(entering, names, mean=mean)
    if all(step.edge.weights is None for step in steps):
        raise ValueError(f"edges must hold at least one block, got {len(edges)} identity edges")
    return steps


def _node_steps(entering: list[PathEdge], names: dict[int, int], *, mean: bool) -> list[Step]:
    """Put an identity to the block before it, a first one to the block behind it.

    Several first ones make a step of their own, without a block.
    """
    starts = [i for i, edge in enumerate(entering) if edge.weights is not None]
    first = starts[0] if starts else len(entering)
    if first > 1:
        starts, begins = [0, *starts], [0, *starts]
    else:
        begins = [0, *starts[1:]]
    steps: list[Step] = []
    for begin, start, end in zip(begins, starts, [*starts[1:], None], strict=True):
        edge, last = entering[start], end is None
        beside = [e for e in entering[begin:end] if e.weights is None and e is not edge]
        also = tuple(names[e.source] for e in beside)
        divisor = len(entering) if mean and last else 1
        steps.append(Step(edge, names[edge.source], edge.target, also, divisor))
    return steps


class Packed(NamedTuple):
    """The arguments of the operator of a path.

    weights: seven of each block. affine: six of each, or none at all. reached: for each block,
    whether the last value depends on it.
    """

    weights: list[Tensor]
    affine: list[Tensor | None]
    running: list[Tensor]
    momenta: list[float]
    plan: list[int]
    activation: str
    reached: list[bool]


def pack(steps: Sequence[Step]) -> Packed:
    """Flatten steps; the operator's schema says how. Raises ValueError for mixed activations."""
    blocks = [step.edge for step in steps if step.edge.weights is not None]
    activations = {edge.options.activation for edge in blocks}
    if len(activations) > 1:
        raise ValueError(f"edges must have one activation, got {', '.join(sorted(activations))}")
    weights: list[Tensor] = []
    affine: list[Tensor | None] = []
    running: list[Tensor] = []
    numbers: list[int] = []
    numbered = {steps[0].source: 0}
    for step in steps:
        edge, source, target, also, divisor = step
        own: list[Tensor] = []
        if edge.weights is not None:
            weights += packed(edge.weights)
            affine += affine_parameters(edge.norms)
            own = running_statistics(edge.norms, edge.weights)
            running += own
        number = numbered.setdefault(target, len(numbered))
        residual, tracked = edge.options.residual, len(own) > 0
        numbers += (numbered[source], number, step.stride, residual, tracked, divisor)
        numbers += (len(also), *(numbered[node] for node in also))
    momenta = [edge.momentum for edge in blocks]
    if all(value is None for value in affine):
        affine = []
    return Packed(weights, affine, running, momenta, numbers, activations.pop(), reached(steps))


class Planned(NamedTuple):
    """What the numbers of a plan say about the values of a step."""

    source: int
    target: int
    stride: int
    also: tuple[int, ...]


def unpack(numbers: Sequence[int]) -> list[Planned]:
    """Read the steps of ``Packed.plan``."""
    steps: list[Planned] = []
    at = 0
    while at < len(numbers):
        source, target, stride, _, _, _, count = numbers[at : at + 7]
        at += 7 + count
        steps.append(Planned(source, target, stride, tuple(numbers[at - count : at])))
    return steps


def reached(steps: Sequence[Step | Planned]) -> list[bool]:
    """Tell for each block whether the last value depends on it."""
    nodes = {steps[-1].target}
    found: list[bool] = []
    for step in reversed(steps):
        there = step.target in nodes
        if there:
            nodes.update((step.source, *step.also))
        if step.stride:
            found.append(there)
    return found[::-1]
