"""BN with the statistics of the batch and its activation in one pass, with their gradient."""

from typing import Any

import torch
from torch import Tensor
from torch.library import register_fake

import stnas.ops.extension  # noqa: F401
from stnas.ops.layers import reference
from stnas.ops.layers.differentiable import differentiable
from stnas.ops.layers.reference import BatchNorm, SyncBatchNorm
from stnas.ops.shapes import check_count, empty_image

OPS = torch.ops.stnas


def norm_act(
    x: Tensor, norm: BatchNorm, *, activation: str, training: bool, momentum: float = 0.1
) -> Tensor:
    """Normalise and activate: ``act(BN(x))``, the same as ``stnas.ops.layers.reference.norm_act``.

    x: ``[N, C, H, W]``, best in channels_last order, which the result has. The compiled form is
    for training on float32 and float64; running statistics, those of several processes and the
    half precision of autocast go to the plain twin. Raises ValueError for a wrong shape or
    activation.
    """
    alone = training and not isinstance(norm, SyncBatchNorm)
    if not alone or x.dtype not in (torch.float32, torch.float64):
        return reference.norm_act(
            x, norm, activation=activation, training=training, momentum=momentum
        )
    check_count(x)
    x = x.contiguous(memory_format=torch.channels_last)
    inputs = (x, norm.weight, norm.bias, activation)
    if torch.is_grad_enabled():
        out, statistics = _recorded(*inputs)
    else:
        out, statistics = OPS.norm_act_forward.default(*inputs)
    advance_running_(norm, statistics, out, momentum=momentum)
    return out  # type: ignore[no-any-return]


@torch.no_grad()
def advance_running_(
    norm: BatchNorm, statistics: Tensor, normalised: Tensor, *, momentum: float
) -> None:
    """Move the running statistics, if any, towards mean and variance ``[2 C]`` of a batch."""
    if norm.running_mean is not None and norm.running_var is not None:
        count = normalised.numel() // normalised.shape[1]
        mean, variance = statistics.chunk(2)
        norm.running_mean.lerp_(mean, momentum)
        norm.running_var.lerp_(variance * (count / (count - 1)), momentum)


@register_fake("stnas::norm_act_forward")  # type: ignore[untyped-decorator]
def _forward(x: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return empty_image(x, x.shape), x.new_empty(2 * x.shape[1])


@register_fake("stnas::norm_act_backward")  # type: ignore[untyped-decorator]
def _backward(grad: Tensor, x: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return empty_image(x, x.shape), x.new_empty(2 * x.shape[1])


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, weight, bias, ctx.activation = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, weight, bias, output[1])


def _gradient(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
    """Return the gradients of the forward operator's arguments; only ``out`` has one."""
    if grad is None:
        return (None,) * 4
    grad = grad.contiguous(memory_format=torch.channels_last)
    x, weight, bias, statistics = ctx.saved_tensors
    grad_x, affine = OPS.norm_act_backward.default(
        grad, x, weight, bias, statistics, ctx.activation
    )
    return grad_x, *given_gradients(affine, weight, bias), None


def given_gradients(
    affine: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of the weight and bias that are there, out of both ``[2 C]``."""
    if weight is None and bias is None:
        return None, None
    of_weight, of_bias = affine.chunk(2)
    return (None if weight is None else of_weight, None if bias is None else of_bias)


_recorded = differentiable(OPS.norm_act_forward.default, _gradient, save=_save)
