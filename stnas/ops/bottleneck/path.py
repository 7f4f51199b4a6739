"""All choice blocks of an architecture as one function, forward and backward."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import Any

import torch
from torch import Tensor

import stnas.ops.bottleneck.path_fake  # noqa: F401
from stnas.ops.bottleneck.arguments import (
    AFFINE,
    OPS,
    WEIGHTS,
    Affine,
    checked_input,
    needs_gradient,
)
from stnas.ops.bottleneck.block import affine_gradients
from stnas.ops.bottleneck.path_plan import Packed, PathEdge, pack, plan
from stnas.ops.once import once_differentiable


def linear_bottleneck_path(x: Tensor, edges: Sequence[PathEdge], *, mean: bool = False) -> Tensor:
    """Compute an architecture: ``v_j = sum of block_ij(v_i)`` over the edges, from v_0 = x.

    With the batch's statistics; running ones, where given, move by the edge's momentum. edges: at
    least one block, all with one activation, in the order of their targets, which is the order of
    the sums, so that a node comes before the edges that leave it. mean: divide each node by its
    number of entering edges. Returns the last edge's target, in channels_last order.

    The values are those of ``linear_bottleneck`` edge by edge. The moments of a node are computed
    once, with its last entering edge; a block is added to its node while it is normalised, and its
    gradient likewise to that of its source. Dtypes, autocast and errors are
    ``linear_bottleneck``'s.
    """
    path = pack(plan(edges, mean=mean))
    x = checked_input(x, path.weights[0])
    parameters = [*path.weights, *path.affine]
    if torch.is_grad_enabled() and needs_gradient(x, *parameters):
        if _direct.get() and x.requires_grad and all(p is None or p.is_leaf for p in parameters):
            return _Path.apply(path, True, x)  # type: ignore
        return _Path.apply(path, False, x, *parameters)  # type: ignore
    return _compute(path, x, keep=False)[0][-1]


_direct = ContextVar("direct", default=False)


@contextmanager
def direct_gradients() -> Iterator[None]:
    """Let ``backward`` put the gradients of the paths computed here straight into ``.grad``.

    Of leaf parameters, where x needs a gradient too. That spares what autograd takes for every
    tensor, 5 to 10 us. ``torch.autograd.grad`` and hooks do not see these gradients, and nothing
    notices a parameter that changes before ``backward``.
    """
    before = _direct.set(True)
    try:
        yield
    finally:
        _direct.reset(before)


def _compute(path: Packed, x: Tensor, *, keep: bool) -> tuple[list[Tensor], list[Tensor]]:
    """Return the values, or only the last, and what the gradients need, where they are kept."""
    values, kept, moved = OPS.linear_bottleneck_path.default(x, *path[:6], keep)
    if moved:
        torch._foreach_copy_(path.running, moved)
    return values, kept


class _Path(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, path: Packed, direct: bool, x: Tensor, *parameters: Tensor | None
    ) -> Tensor:
        (*values, last), kept = _compute(path, x, keep=True)
        ctx.set_materialize_grads(False)
        ctx.path, ctx.direct = path, direct
        ctx.sizes = (len(values), len(kept))
        ctx.save_for_backward(x, *values, *kept, *parameters)
        return last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Any, ...]:
        path = ctx.path
        count = 0 if ctx.direct else len(path.weights) + len(path.affine)
        if grad is None:
            return (None,) * (3 + count)
        saved = iter(ctx.saved_tensors)
        x = next(saved)
        values, kept = (list(islice(saved, size)) for size in ctx.sizes)
        grad_x, found = OPS.linear_bottleneck_path_backward.default(
            grad.contiguous(memory_format=torch.channels_last),
            x, values, *path[:2], kept, path.plan, path.activation,
        )  # fmt: skip
        grads = _by_parameter(path, found)
        if not ctx.direct:
            return (None, None, grad_x, *grads)
        for parameter, gradient in zip((*path.weights, *path.affine), grads, strict=True):
            if parameter is not None and parameter.requires_grad and gradient is not None:
                _leave(parameter, gradient)
        return (None, None, grad_x)


def _leave(parameter: Tensor, gradient: Tensor) -> None:
    """Add to a parameter's ``grad``."""
    if parameter.grad is None:
        parameter.grad = gradient
    else:
        parameter.grad += gradient


def _by_parameter(path: Packed, found: list[Tensor]) -> Affine:
    """Give each parameter its gradient; None where the last value does not depend on its block."""
    of_weights, of_affine = Affine(), Affine()
    gradients = iter(found)
    for i, reached in enumerate(path.reached):
        own = path.weights[i * WEIGHTS : (i + 1) * WEIGHTS]
        of_weights += [next(gradients) if reached else None for _ in own]
        norms = path.affine[i * AFFINE : (i + 1) * AFFINE]
        if norms:
            of_affine += (
                affine_gradients(next(gradients), own, norms) if reached else [None] * AFFINE
            )
    return [*of_weights, *of_affine]
