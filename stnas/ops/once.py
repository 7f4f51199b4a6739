"""Gradients that have no gradient of their own."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.library import register_autograd

Backward = Callable[..., Any]


class _Refused(torch.autograd.Function):
    """The first ``count`` tensors, which depend on the others in a way that nobody can follow."""

    @staticmethod
    def forward(ctx: Any, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensor.detach() for tensor in tensors[:count])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> None:
        raise RuntimeError(
            "a compiled operator must not be differentiated twice, got a derivative of its "
            "gradient: make the network with kernels=reference, or leave out create_graph"
        )


def once_differentiable(backward: Backward) -> Backward:
    """Return the ``backward`` of an autograd function, whose own derivative is refused.

    PyTorch's decorator of this name cuts the result off from the inputs, so that
    ``torch.autograd.grad`` takes its derivative for 0 and says nothing. Here the result depends on
    the gradients that came in and on what the function has saved. Raises RuntimeError where a
    second derivative is asked for.
    """

    @wraps(backward)
    def once(ctx: Any, *grads: Any) -> Any:
        if not torch.is_grad_enabled():
            return backward(ctx, *grads)
        with torch.no_grad():
            found = backward(ctx, *grads)
        given = (*grads, *ctx.saved_tensors)
        sources = [v for v in given if isinstance(v, Tensor) and v.requires_grad]
        values = (found,) if isinstance(found, Tensor) else found
        made = [value for value in values if isinstance(value, Tensor)]
        if not sources or not made:
            return found
        marked = iter(_Refused.apply(len(made), *made, *sources))  # type: ignore[no-untyped-call]
        linked = tuple(next(marked) if isinstance(v, Tensor) else v for v in values)
        return linked[0] if isinstance(found, Tensor) else linked

    return once


def refuse_gradient(operator: str, function: Callable[..., Any]) -> None:
    """Let an operator refuse to be differentiated, and name the function that has its gradient.

    Raises NotImplementedError where a gradient of the operator itself is asked for.
    """

    def refuse(ctx: Any, *grads: Any) -> None:
        raise NotImplementedError(
            f"{operator} has no gradient of its own: call {function.__module__}."
            f"{function.__qualname__}, or work under torch.no_grad()"
        )

    register_autograd(f"stnas::{operator}", refuse)


def gradients_of_twin(
    twin: Callable[..., Tensor],
    tensors: Sequence[Tensor | None],
    wanted: Sequence[bool],
    grad: Tensor,
) -> list[Tensor | None]:
    """Return the gradients of ``twin(*tensors)`` where they are wanted, and None elsewhere."""
    values: list[Any] = [
        None if value is None else value.detach().requires_grad_(needed)
        for value, needed in zip(tensors, wanted, strict=True)
    ]
    with torch.enable_grad():
        out = twin(*values)
    inputs = [value for value, needed in zip(values, wanted, strict=True) if needed]
    found = iter(torch.autograd.grad(out, inputs, grad))
    return [next(found) if needed else None for needed in wanted]
