"""Depthwise kernels mixed to one by their shares, with the gradient, in one operator each."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

import stnas.ops.separable.fake  # noqa: F401
from stnas.ops.dtypes import autocasts, has_plain_kernels
from stnas.ops.once import once_differentiable, refuse_gradient
from stnas.ops.separable import reference

OPS = torch.ops.stnas


def mixed_kernel(
    kernels: Sequence[Tensor],
    shares: Sequence[Tensor],
    part: Tensor | None = None,
    *,
    normalise: bool,
) -> Tensor:
    """Return ``part sum_i shares[i] K_i``, the same as the plain twin in ``reference``.

    Compiled on the CPU in float32 and float64. Raises ValueError for wrong shapes.
    """
    if not kernels:
        raise ValueError("kernels must be one or more, got none: give one for each share")
    if part is None:
        values: tuple[Tensor, ...] = (*kernels, *shares)
    else:
        values = (*kernels, *shares, part)
    first = kernels[0]
    if autocasts(first) or any(
        own.dtype != first.dtype or not has_plain_kernels(own) for own in values
    ):
        return reference.mixed_kernel(kernels, shares, part, normalise=normalise)
    own = [kernel.contiguous() for kernel in kernels]
    if torch.is_grad_enabled() and any(value.requires_grad for value in values):
        return _Mixed.apply(normalise, part, *own, *shares)  # type: ignore
    return OPS.mixed_kernel.default(own, list(shares), part, normalise)  # type: ignore


class _Mixed(torch.autograd.Function):
    """The kernel with its gradient."""

    @staticmethod
    def forward(ctx: Any, normalise: bool, part: Tensor | None, *tensors: Tensor) -> Tensor:
        ctx.normalise = normalise
        ctx.save_for_backward(part, *tensors)
        count = len(tensors) // 2
        found: Tensor = OPS.mixed_kernel.default(
            list(tensors[:count]), list(tensors[count:]), part, normalise
        )
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        part, *tensors = ctx.saved_tensors
        count = len(tensors) // 2
        kernels, shares = tensors[:count], tensors[count:]
        of_kernels, values = OPS.mixed_kernel_backward.default(
            grad.contiguous(), kernels, shares, part, ctx.normalise
        )
        if not any(ctx.needs_input_grad[1:2] + ctx.needs_input_grad[2 + count :]):
            return (None, None, *of_kernels, *[None] * count)
        *of_shares, of_part = values.unbind()
        own = (s.view(v.shape) for s, v in zip(of_shares, shares, strict=True))
        return (None, None if part is None else of_part.view(part.shape), *of_kernels, *own)


refuse_gradient("mixed_kernel", mixed_kernel)
