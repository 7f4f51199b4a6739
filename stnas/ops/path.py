"""All choice blocks of an architecture as one function, forward and backward."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stnas.ops.linear_bottleneck import (
    OPS,
    Affine,
    add_block_,
    affine_gradients,
    check_count,
    checked_input,
    needs_gradient,
    running_statistics,
)
from stnas.ops.path_plan import AFFINE, WEIGHTS, PathEdge, Step, block_tensors, plan
from stnas.ops.shapes import empty_image, out_size

KEPT = 5
"""Tensors that the forward pass of a block leaves to its gradient."""


def linear_bottleneck_path(x: Tensor, edges: Sequence[PathEdge], *, mean: bool = False) -> Tensor:
    """Compute an architecture: ``v_j = sum of block_ij(v_i)`` over the edges, from v_0 = x.

    With the batch's statistics; running ones, where given, move by the edge's momentum. edges: at
    least one block, in the order of their targets, which is the order of the sums, so that a node
    comes before the edges that leave it. mean: divide each node by its number of entering edges.
    Returns the last edge's target, in channels_last order.

    The values are those of ``linear_bottleneck`` edge by edge. The moments of a node are computed
    once, with its last entering edge; a block is added to its node while it is normalised, and its
    gradient likewise to that of its source. Dtypes, autocast and errors are
    ``linear_bottleneck``'s.
    """
    steps = plan(edges, mean=mean)
    tensors = [tensor for step in steps for tensor in block_tensors(step.edge)]
    first = next(step.edge.weights for step in steps if step.edge.weights is not None)
    x = checked_input(x, first.expand)
    if torch.is_grad_enabled() and needs_gradient(x, *tensors):
        return _Path.apply(steps, x, *tensors)  # type: ignore
    return _compute(x, steps, tensors, keep=False)[0]


def _compute(
    x: Tensor, steps: list[Step], tensors: Sequence[Any], *, keep: bool
) -> tuple[Tensor, dict[int, Tensor], list[Any]]:
    """Return the last value, all values and what the gradients need, where they are kept."""
    values = {steps[0].source: x}
    first, moments = steps[0].source, dict[int, Tensor]()
    if any(step.reads and step.source == first for step in steps):
        moments[first] = OPS.node_moments.default(x)
    uses = {node: i for i, step in enumerate(steps) for node in (step.source, *step.also)}
    kept: list[Any] = []
    for i, (step, own) in enumerate(zip(steps, by_step(tensors), strict=True)):
        saved = _add_step(step, own, values, moments, keep=keep)
        if keep:
            kept += saved
            continue
        for node in {step.source, *step.also}:
            if uses[node] == i:
                del values[node]
    return values[steps[-1].target], values, kept


def by_step(tensors: Sequence[Any]) -> list[Sequence[Any]]:
    """Cut the tensors of all steps to those of each."""
    size = WEIGHTS + AFFINE
    return [tensors[i : i + size] for i in range(0, len(tensors), size)]


def _add_step(
    step: Step,
    tensors: Sequence[Any],
    values: dict[int, Tensor],
    moments: dict[int, Tensor],
    *,
    keep: bool,
) -> Sequence[Tensor | None]:
    """Add a step to its target's value; return what its gradient needs where it is kept."""
    edge, x, also = step.edge, values[step.source], [values[node] for node in step.also]
    if edge.weights is None:
        total = x
        for other in also:
            total = total + other
        values[step.target] = total / step.divisor if step.divisor > 1 else total
        if step.gather:
            moments[step.target] = OPS.node_moments.default(values[step.target])
        return (None,) * KEPT
    check_count(x, edge.options.stride)
    weights, affine = tensors[:WEIGHTS], list(tensors[WEIGHTS:])
    if not step.add:
        values[step.target] = empty_image(x, out_size(x, weights[6], edge.options.stride))
    *saved, gathered = add_block_(
        values[step.target], x, weights, affine, edge.options,
        running=running_statistics(edge.norms, weights), momentum=edge.momentum,
        moments=moments.get(step.source), add=step.add, also=also, divisor=step.divisor,
        keep=keep, gather=step.gather,
    )  # fmt: skip
    if step.gather:
        moments[step.target] = gathered
    return saved


class _Path(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, steps: list[Step], x: Tensor, *tensors: Tensor | None) -> Tensor:
        last, values, kept = _compute(x, steps, tensors, keep=True)
        read = {step.source: values[step.source] for step in steps if step.edge.weights is not None}
        ctx.set_materialize_grads(False)
        ctx.steps, ctx.nodes = steps, list(read)
        ctx.save_for_backward(*read.values(), *tensors, *kept)
        return last

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Any, ...]:
        size = WEIGHTS + AFFINE
        if grad is None:
            return (None,) * (2 + size * len(ctx.steps))
        saved = list(ctx.saved_tensors)
        ctx.maybe_clear_saved_tensors()
        values = dict(zip(ctx.nodes, saved, strict=False))
        tensors = saved[len(values) : len(values) + size * len(ctx.steps)]
        kept = saved[len(values) + len(tensors) :]
        del saved
        return _differentiate(ctx.steps, grad, values, tensors, kept)


def _differentiate(
    steps: list[Step],
    grad: Tensor,
    values: dict[int, Tensor],
    tensors: list[Any],
    kept: list[Tensor],
) -> tuple[Any, ...]:
    """Walk the blocks in reverse, each adding its gradient to its source's; free what is done."""
    grads = {steps[-1].target: grad.contiguous(memory_format=torch.channels_last)}
    pieces: list[Affine] = []
    for step, own in zip(reversed(steps), reversed(by_step(tensors)), strict=True):
        saved, kept[-KEPT:] = kept[-KEPT:], []
        values.pop(step.target, None)
        if step.target not in grads:
            pieces.append([None] * (WEIGHTS + AFFINE))
            continue
        if step.divisor != 1:
            grads[step.target] = grads[step.target] / step.divisor
        grad = grads[step.target] if step.add else grads.pop(step.target)
        identity = step.edge.weights is None
        for node in (step.source, *step.also) if identity else step.also:
            grads[node] = grads[node].add_(grad) if node in grads else grad.clone()
        if identity:
            pieces.append([None] * (WEIGHTS + AFFINE))
        else:
            pieces.append(_block_gradients(step, grad, values[step.source], own, saved, grads))
    flat = [piece for block in reversed(pieces) for piece in block]
    return (None, grads.get(steps[0].source), *flat)


def _block_gradients(
    step: Step,
    grad: Tensor,
    x: Tensor,
    tensors: list[Any],
    saved: list[Tensor],
    grads: dict[int, Tensor],
) -> Affine:
    """Add a block's gradient to its source's in ``grads``; return those of its tensors."""
    add = step.source in grads
    if not add:
        grads[step.source] = empty_image(x, x.shape)
    weights, affine = tensors[:WEIGHTS], tensors[WEIGHTS:]
    *found, packed_affine = OPS.linear_bottleneck_backward_add_.default(
        grad, x, *weights, affine, *saved, grads[step.source], add, *step.edge.options
    )
    return [*found, *affine_gradients(packed_affine, weights, affine)]
