"""A convolution of few weights, BN and activation as one function: the stem and the tail."""

from typing import Any

import torch
from torch import Tensor

from stnas.ops.layers.convolution import OPS, convolution, has_convolution
from stnas.ops.layers.norm_act import advance_running_, given_gradients, norm_act
from stnas.ops.layers.reference import BatchNorm, SyncBatchNorm
from stnas.ops.once import once_differentiable
from stnas.ops.shapes import check_count


def conv_norm_act(
    x: Tensor,
    weight: Tensor,
    norm: BatchNorm,
    *,
    stride: int,
    activation: str,
    training: bool,
    momentum: float = 0.1,
) -> Tensor:
    """Return ``norm_act(convolution(x, weight))``, whose arguments and errors these are.

    With the same bits. Where both have kernels for a training step, autograd sees one function:
    each takes it some 90 us on a slow processor, more than the kernels.
    """
    state: dict[str, Any] = {"activation": activation, "momentum": momentum}
    together = training and not isinstance(norm, SyncBatchNorm) and has_convolution(x, weight)
    if not together or not torch.is_grad_enabled():
        return norm_act(convolution(x, weight, stride=stride), norm, training=training, **state)
    x = x.contiguous(memory_format=torch.channels_last)
    weight = weight.contiguous(memory_format=torch.channels_last)
    out, statistics = _Together.apply(x, weight, norm.weight, norm.bias, stride, activation)  # type: ignore
    advance_running_(norm, statistics, out, momentum=momentum)
    return out  # type: ignore[no-any-return]


class _Together(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        scale: Tensor | None,
        bias: Tensor | None,
        stride: int,
        activation: str,
    ) -> tuple[Tensor, Tensor]:
        convolved = OPS.convolution_forward.default(x, weight, stride)
        check_count(convolved)
        out, statistics = OPS.norm_act_forward.default(convolved, scale, bias, activation)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(statistics)
        ctx.stride, ctx.activation = stride, activation
        ctx.save_for_backward(x, weight, convolved, scale, bias, statistics)
        return out, statistics

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
        if grad is None:
            return (None,) * 6
        x, weight, convolved, scale, bias, statistics = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        grad, affine = OPS.norm_act_backward.default(
            grad, convolved, scale, bias, statistics, ctx.activation
        )
        wants_x = ctx.needs_input_grad[0]
        of_x, of_weight = OPS.convolution_backward.default(grad, x, weight, ctx.stride, wants_x)
        affine_gradients = given_gradients(affine, scale, bias)
        return (of_x if wants_x else None, of_weight, *affine_gradients, None, None)
