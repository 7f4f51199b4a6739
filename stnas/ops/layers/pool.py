"""The mean over the pixels of every image, with its gradient."""

from typing import Any

import torch
from torch import Tensor
from torch.library import register_fake

import stnas.ops.extension  # noqa: F401
from stnas.ops.dtypes import has_plain_kernels
from stnas.ops.layers.differentiable import differentiable
from stnas.ops.shapes import empty_image

OPS = torch.ops.stnas


def pool(x: Tensor) -> Tensor:
    """Return the mean over the pixels of x ``[N, C, H, W]``: ``[N, C]``.

    The same as ``x.mean((2, 3))``, which takes over where there are no kernels: on other devices
    than the CPU, for other dtypes than float32 and float64, and for no images.
    """
    if not has_plain_kernels(x):
        return x.mean((2, 3))
    x = x.contiguous(memory_format=torch.channels_last)
    if torch.is_grad_enabled() and x.requires_grad:
        return _recorded(x)  # type: ignore[no-any-return]
    return OPS.pool_forward.default(x)  # type: ignore[no-any-return]


@register_fake("stnas::pool_forward")  # type: ignore[untyped-decorator]
def _forward(x: Tensor) -> Tensor:
    return x.new_empty(x.shape[:2])


@register_fake("stnas::pool_backward")  # type: ignore[untyped-decorator]
def _backward(grad: Tensor, height: int, width: int) -> Tensor:
    return empty_image(grad, (*grad.shape, height, width))


def _save(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
    ctx.set_materialize_grads(False)
    ctx.size = inputs[0].shape[2:]


def _gradient(ctx: Any, grad: Tensor | None) -> Tensor | None:
    if grad is None:
        return None
    of_x: Tensor = OPS.pool_backward.default(grad.contiguous(), *ctx.size)
    return of_x


_recorded = differentiable(OPS.pool_forward.default, _gradient, save=_save)
