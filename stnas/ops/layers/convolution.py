"""A dense convolution of few weights, as stem and tail have them, with its gradient."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.library import register_fake
from torch.nn import functional
from torch.utils.flop_counter import register_flop_formula

import stnas.ops.extension  # noqa: F401
from stnas.ops.dtypes import has_plain_kernels
from stnas.ops.layers.differentiable import differentiable
from stnas.ops.shapes import empty_image, out_size

OPS = torch.ops.stnas

MOST_WEIGHTS = 4096
"""Above, torch's convolution is the faster one. Measured."""


def convolution(x: Tensor, weight: Tensor, *, stride: int) -> Tensor:
    """Convolve ``[N, C_in, H, W]`` with ``[C_out, C_in, K, K]``, K odd, padded by ``K // 2``.

    The same as ``torch.nn.functional.conv2d``, which takes over where there are no kernels or
    slower ones: on other devices than the CPU, for other dtypes than float32 and float64, under
    autocast, for no images and for more than ``MOST_WEIGHTS`` weights. The result
    ``[N, C_out, ceil(H / stride), ceil(W / stride)]`` is in channels_last order. Raises ValueError
    for a wrong shape or stride.
    """
    if not has_convolution(x, weight):
        return functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
    x = x.contiguous(memory_format=torch.channels_last)
    weight = weight.contiguous(memory_format=torch.channels_last)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return _recorded(x, weight, stride)  # type: ignore[no-any-return]
    return OPS.convolution_forward.default(x, weight, stride)  # type: ignore[no-any-return]


def has_convolution(x: Tensor, weight: Tensor) -> bool:
    """Tell whether the kernels are there for x and weight, and the faster ones."""
    narrow = x.is_cpu and torch.is_autocast_enabled("cpu")
    return not narrow and has_plain_kernels(x) and weight.numel() <= MOST_WEIGHTS


@register_fake("stnas::convolution_forward")  # type: ignore[untyped-decorator]
def _forward(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    return empty_image(x, out_size(x, weight, stride))


@register_fake("stnas::convolution_backward")  # type: ignore[untyped-decorator]
def _backward(
    grad: Tensor, x: Tensor, weight: Tensor, stride: int, wants_x: bool
) -> tuple[Tensor, Tensor]:
    return empty_image(x, x.shape) if wants_x else x.new_empty(0), empty_image(x, weight.shape)


@register_flop_formula(OPS.convolution_forward)
def _count_forward(
    x: torch.Size, weight: torch.Size, *_: Any, out_shape: torch.Size, **__: Any
) -> int:
    return 2 * math.prod(weight) * out_shape[0] * math.prod(out_shape[2:])


@register_flop_formula(OPS.convolution_backward)
def _count_backward(
    grad: torch.Size, x: torch.Size, weight: torch.Size, _stride: int, wants_x: bool, **_: Any
) -> int:
    return (1 + wants_x) * 2 * math.prod(weight) * grad[0] * math.prod(grad[2:])


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
    *tensors, ctx.stride = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors)


def _gradient(ctx: Any, grad: Tensor | None) -> tuple[Tensor | None, ...]:
    if grad is None:
        return (None,) * 3
    grad = grad.contiguous(memory_format=torch.channels_last)
    wants_x = ctx.needs_input_grad[0]
    of_x, of_weight = OPS.convolution_backward.default(
        grad, *ctx.saved_tensors, ctx.stride, wants_x
    )
    return of_x if wants_x else None, of_weight, None


_recorded = differentiable(OPS.convolution_forward.default, _gradient, save=_save)
