"""Half a separable convolution, fused: the twin's interface, compiled kernels, their gradient."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

import stnas.ops.separable.fake  # noqa: F401
from stnas.ops.dtypes import autocasts, has_plain_kernels
from stnas.ops.layers.norm_act import advance_running_, given_gradients
from stnas.ops.layers.reference import BatchNorm, SyncBatchNorm
from stnas.ops.once import once_differentiable, refuse_gradient
from stnas.ops.separable import reference
from stnas.ops.separable.reference import NO_NORM, Term
from stnas.ops.shapes import check_count

OPS = torch.ops.stnas

Options = tuple[list[int], list[int], list[int]]
"""Strides, grids and shifts of the terms."""


def relu_dw_pw_bn(
    terms: Sequence[Term],
    pointwise: Tensor,
    norm: BatchNorm = NO_NORM,
    *,
    scale: Tensor | None = None,
    training: bool = True,
    momentum: float = 0.1,
) -> Tensor:
    """Compute ``scale BN(W sum_t DW_t ReLU(x_t))``; the plain twin tells the arguments.

    x: best in channels_last order, which the result has. Compiled on the CPU in float32 and
    float64 for kernels 3, 5 and None, strides and grids of 1 and 2, and a BN that uses the batch's
    statistics, with its gradient. The plain twin computes the rest, by torch's operators: other
    devices, dtypes and kernels, autocast, an empty batch, running statistics, and those of several
    processes. Raises ValueError for wrong shapes.
    """
    if not terms:
        raise ValueError("terms must be one or more, got none: give a Term for each x")
    if not has_kernels(terms, pointwise, norm, scale=scale, training=training):
        return reference.relu_dw_pw_bn(
            terms, pointwise, norm, scale=scale, training=training, momentum=momentum
        )
    if terms[0].x.dim() != 4:
        raise ValueError(f"x must have 4 dimensions (N, C, H, W), got {terms[0].x.dim()}")
    check_count(terms[0].x, terms[0].stride)
    strides, grids, shifts = zip(*(term[2:] for term in terms), strict=True)
    options = list(strides), list(grids), list(shifts)
    xs = [term.x.contiguous(memory_format=torch.channels_last) for term in terms]
    kernels = [x.new_empty(0) if k is None else k.contiguous() for x, k, *_ in terms]
    affine = norm.weight, norm.bias
    tensors: tuple[Any, ...] = (pointwise.contiguous(), scale, *affine, *xs, *kernels)
    if torch.is_grad_enabled() and any(v is not None and v.requires_grad for v in tensors):
        out, statistics = _Half.apply(options, *tensors)  # type: ignore[no-untyped-call]
    else:
        out, _, _, statistics = forward(options, *tensors, keep=False)
    if norm.running_mean is not None:
        advance_running_(norm, statistics.view(-1), out, momentum=momentum)
    return out  # type: ignore[no-any-return]


def has_kernels(
    terms: Sequence[Term],
    pointwise: Tensor,
    norm: BatchNorm,
    *,
    scale: Tensor | None,
    training: bool,
) -> bool:
    """Tell whether the compiled operators compute half a convolution of these tensors."""
    dtype = pointwise.dtype
    return (
        training
        and not isinstance(norm, SyncBatchNorm)
        and all(own is None or own.dtype == dtype for own in (scale, norm.weight, norm.bias))
        and all(
            has_plain_kernels(term.x)
            and term.x.dtype == dtype
            and (
                term.kernel is None
                or (term.kernel.dtype == dtype and term.kernel.shape[-1] in (3, 5))
            )
            and term.stride in (1, 2)
            and term.grid in (1, 2)
            for term in terms
        )
        and not autocasts(terms[0].x)
    )


def forward(
    options: Options,
    pointwise: Tensor,
    scale: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    *tensors: Any,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the result, what the gradient needs where ``keep``, and the BN's statistics."""
    count = len(tensors) // 2
    found: tuple[Tensor, Tensor, Tensor, Tensor] = OPS.relu_dw_pw_bn_forward.default(
        list(tensors[:count]), list(tensors[count:]), *options, pointwise, scale, weight, bias, keep
    )
    return found


class _Half(torch.autograd.Function):
    """The result and the statistics of its BN, with the result's gradient."""

    @staticmethod
    def forward(ctx: Any, options: Options, *tensors: Any) -> tuple[Tensor, Tensor]:
        out, *kept, statistics = forward(options, *tensors, keep=True)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(statistics)
        ctx.options = options
        ctx.save_for_backward(*kept, statistics, *tensors)
        return out, statistics

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Any, ...]:
        values, moments, statistics, *parameters = ctx.saved_tensors
        pointwise, scale, weight, bias, *tensors = parameters
        if grad is None:
            return (None,) * (1 + len(parameters))
        count = len(tensors) // 2
        of_xs, of_kernels, of_pointwise, of_scale, affine = OPS.relu_dw_pw_bn_backward.default(
            grad.contiguous(memory_format=torch.channels_last),
            tensors[:count], tensors[count:], *ctx.options,
            pointwise, scale, weight, bias, values, moments, statistics,
        )  # fmt: skip
        scaled = None if scale is None else of_scale.view(scale.shape)
        of_norm = given_gradients(affine.view(-1), weight, bias)
        return (None, of_pointwise, scaled, *of_norm, *of_xs, *of_kernels)


refuse_gradient("relu_dw_pw_bn_forward", relu_dw_pw_bn)
