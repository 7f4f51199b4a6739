"""Both pools of a node with their BN in one pass, with their gradient."""

from typing import Any

import torch
from torch import Tensor
from torch.library import register_fake

import stnas.ops.extension  # noqa: F401
from stnas.ops.dtypes import autocasts, has_plain_kernels
from stnas.ops.mixture import reference
from stnas.ops.once import once_differentiable, refuse_gradient
from stnas.ops.shapes import check_count, empty_image

OPS = torch.ops.stnas
LAST = torch.channels_last


def pooled_norms(x: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Return ``BN(max3x3(x))`` and ``BN(mean3x3(x))``, the same as the plain twin in ``reference``.

    x: ``[N, C, H, W]``, best in channels_last order, which the results have. Compiled on the CPU in
    float32 and float64. Raises ValueError for wrong shapes.
    """
    if autocasts(x) or not has_plain_kernels(x):
        return reference.pooled_norms(x, stride)
    if x.dim() != 4:
        raise ValueError(f"x must have 4 dimensions (N, C, H, W), got {x.dim()}")
    check_count(x, stride)
    x = x.contiguous(memory_format=LAST)
    if torch.is_grad_enabled() and x.requires_grad:
        return _Pools.apply(x, stride)  # type: ignore
    return OPS.pooled_norms.default(x, stride)[:2]  # type: ignore[no-any-return]


class _Pools(torch.autograd.Function):
    """The pools with their gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, stride: int) -> tuple[Tensor, Tensor]:
        largest, mean, *kept = OPS.pooled_norms.default(x, stride)
        ctx.stride = stride
        ctx.save_for_backward(x, largest, mean, *kept)
        return largest, mean

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_largest: Tensor, of_mean: Tensor) -> tuple[Tensor, None]:
        grads = (grad.contiguous(memory_format=LAST) for grad in (of_largest, of_mean))
        return OPS.pooled_norms_backward.default(*grads, *ctx.saved_tensors, ctx.stride), None


def out_size(x: Tensor, stride: int) -> tuple[int, int, int, int]:
    """Return the sizes of the results."""
    return (*x.shape[:2], -(-x.shape[2] // stride), -(-x.shape[3] // stride))


@register_fake("stnas::pooled_norms")  # type: ignore[untyped-decorator]
def _forward(x: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    largest, mean = (empty_image(x, out_size(x, stride)) for _ in range(2))
    places = x.new_empty(largest.numel(), dtype=torch.uint8)
    return largest, mean, places, x.new_empty(2, x.shape[1])


@register_fake("stnas::pooled_norms_backward")  # type: ignore[untyped-decorator]
def _backward(of_largest: Tensor, of_mean: Tensor, x: Tensor, *_: Any) -> Tensor:
    return empty_image(x, x.shape)


refuse_gradient("pooled_norms", pooled_norms)
