"""Sums of images by weights, with their gradient, in one pass each."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import register_fake

import stnas.ops.extension  # noqa: F401
from stnas.ops.dtypes import autocasts, has_plain_kernels
from stnas.ops.mixture import reference
from stnas.ops.once import once_differentiable, refuse_gradient
from stnas.ops.shapes import empty_image

OPS = torch.ops.stnas
LAST = torch.channels_last


def weighted_sum(values: Sequence[Tensor], weights: Sequence[Tensor | None]) -> Tensor:
    """Return ``sum_k weights[k] values[k]``, the same as the plain twin in ``reference``.

    values: ``[N, C, H, W]``, best in channels_last order, which the result has. Compiled on the CPU
    in float32 and float64. Raises ValueError for wrong shapes.
    """
    if not values or len(values) != len(weights):
        raise ValueError(
            f"values must be one or more and as many as weights, got {len(values)} and "
            f"{len(weights)}"
        )
    first = values[0]
    tensors = [*values, *(weight for weight in weights if weight is not None)]
    if autocasts(first) or any(
        own.dtype != first.dtype or not has_plain_kernels(own) for own in tensors
    ):
        return reference.weighted_sum(values, weights)
    own = [value.contiguous(memory_format=LAST) for value in values]
    if torch.is_grad_enabled() and any(value.requires_grad for value in tensors):
        return _Sum.apply(*own, *weights)  # type: ignore
    return OPS.weighted_sum.default(own, list(weights))  # type: ignore[no-any-return]


class _Sum(torch.autograd.Function):
    """The sum with its gradient, which a value without weight gets as it is."""

    @staticmethod
    def forward(ctx: Any, *tensors: Any) -> Tensor:
        count = len(tensors) // 2
        ctx.count, values, weights = count, tensors[:count], tensors[count:]
        weighs = any(ctx.needs_input_grad[count:])
        kept = [
            v if weighs and w is not None else None for v, w in zip(values, weights, strict=True)
        ]
        ctx.save_for_backward(*kept, *weights)
        found: Tensor = OPS.weighted_sum.default(list(values), list(weights))
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        count, saved = ctx.count, ctx.saved_tensors
        weights, weighs = list(saved[count:]), any(ctx.needs_input_grad[count:])
        grad = grad.contiguous(memory_format=LAST)
        places = [k for k, weight in enumerate(weights) if weight is not None]
        if not places:
            return (*[grad] * count, *weights)
        values = [saved[k] if weighs else grad for k in places]
        scaled, sums = OPS.weighted_sum_backward.default(
            grad, values, [weights[k] for k in places], weighs
        )
        found: list[Any] = [grad] * count + [None] * count
        for number, k in enumerate(places):
            found[k] = scaled[number]
            if weighs:
                found[count + k] = sums[number].view(weights[k].shape)
        return tuple(found)


@register_fake("stnas::weighted_sum")  # type: ignore[untyped-decorator]
def _forward(values: list[Tensor], weights: Any) -> Tensor:
    return empty_image(values[0], values[0].shape)


@register_fake("stnas::weighted_sum_backward")  # type: ignore[untyped-decorator]
def _backward(
    grad: Tensor, values: list[Tensor], weights: list[Tensor | None], wants_weights: bool
) -> tuple[list[Tensor], Tensor]:
    found = [empty_image(grad, grad.shape) for weight in weights if weight is not None]
    return found, grad.new_empty(len(weights) if wants_weights else 0)


refuse_gradient("weighted_sum", weighted_sum)
