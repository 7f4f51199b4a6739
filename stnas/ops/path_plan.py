"""The order in which the blocks of an architecture are computed and added up."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from torch import Tensor

from stnas.ops.linear_bottleneck import Norms, Options, affine_parameters, packed
from stnas.ops.reference import BatchNorm, BottleneckWeights
from stnas.ops.shapes import stores_expanded

WEIGHTS, AFFINE = 7, 6
"""Tensors of a block that may have gradients."""


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
    add: the target holds a sum already. also: identity edges beside it, by their sources.
    divisor: of the whole sum, once this is the last. reads: the block reads its source's moments.
    gather: the target's moments will be read.
    """

    edge: PathEdge
    source: int
    target: int
    add: bool
    also: tuple[int, ...]
    divisor: int
    reads: bool
    gather: bool


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
        if len(entering) == 1 and entering[0].weights is None:
            names[target] = names[entering[0].source]
            continue
        names[target] = target
        steps += _node_steps(entering, names, mean=mean)
    if all(step.edge.weights is None for step in steps):
        raise ValueError(f"edges must hold at least one block, got {len(edges)} identity edges")
    read = {step.source for step in steps if step.reads}
    return [step._replace(gather=step.gather and step.target in read) for step in steps]


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
        source, add = names[edge.source], bool(steps)
        steps.append(Step(edge, source, edge.target, add, also, divisor, reads(edge), last))
    return steps


def reads(edge: PathEdge) -> bool:
    """Tell whether an edge reads the moments of its source."""
    if edge.weights is None:
        return False
    hidden, channels = edge.weights.expand.shape[:2]
    return not stores_expanded(channels, hidden)


def block_tensors(edge: PathEdge) -> list[Tensor | None]:
    """List the weights and the affine parameters of a block; as many None of an identity."""
    if edge.weights is None:
        return [None] * (WEIGHTS + AFFINE)
    return [*packed(edge.weights), *affine_parameters(edge.norms)]
