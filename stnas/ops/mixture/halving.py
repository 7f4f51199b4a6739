"""The block between two stages of cells, with its gradient."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import register_fake
from torch.utils.flop_counter import register_flop_formula

import stnas.ops.extension  # noqa: F401
from stnas.ops.dtypes import autocasts, has_plain_kernels
from stnas.ops.mixture import reference
from stnas.ops.once import once_differentiable, refuse_gradient
from stnas.ops.shapes import check_count, empty_image, out_size

OPS = torch.ops.stnas
LAST = torch.channels_last

MOST_CHANNELS = 32
"""Above, torch's convolutions are the faster ones. Measured."""


def halving_block(x: Tensor, first: Tensor, second: Tensor, shortcut: Tensor) -> Tensor:
    """Halve the pixels as the plain twin in ``reference`` does, which tells the arguments.

    x: best in channels_last order, which the result has. Compiled on the CPU in float32 and
    float64 for up to ``MOST_CHANNELS``, with its gradient. The plain twin computes the rest: other
    devices and dtypes, autocast, no images. Raises ValueError for wrong shapes.
    """
    if x.dim() != 4:
        raise ValueError(f"x must have 4 dimensions (N, C, H, W), got {x.dim()}")
    check_kernels(x.shape[1], first, second, shortcut)
    kernels = [own.contiguous() for own in (first, second, shortcut)]
    plain = not has_plain_kernels(x) or autocasts(x) or x.shape[1] > MOST_CHANNELS
    if plain or any(own.dtype != x.dtype or not own.is_cpu for own in kernels):
        return reference.halving_block(x, first, second, shortcut)
    check_count(x, 2)
    x = x.contiguous(memory_format=LAST)
    if torch.is_grad_enabled() and any(own.requires_grad for own in (x, *kernels)):
        return _Halving.apply(x, *kernels)  # type: ignore
    return OPS.halving_block.default(x, *kernels)[0]  # type: ignore[no-any-return]


def check_kernels(channels: int, first: Tensor, second: Tensor, shortcut: Tensor) -> None:
    """Raise ValueError for kernels that make no block behind so many channels."""
    out = len(first) if first.dim() else 0
    wanted = {
        "first": (first, [out, channels, 3, 3]),
        "second": (second, [out, out, 3, 3]),
        "shortcut": (shortcut, [out, channels, 1, 1]),
    }
    for name, (kernel, shape) in wanted.items():
        if list(kernel.shape) != shape:
            raise ValueError(f"{name} must have shape {shape}, got {list(kernel.shape)}")


class _Halving(torch.autograd.Function):
    """The block and its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *kernels: Tensor) -> Tensor:
        out, *kept = OPS.halving_block.default(x, *kernels)
        ctx.save_for_backward(x, *kernels, *kept)
        return out  # type: ignore[no-any-return]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        wanted = any(ctx.needs_input_grad[1:])
        of_x, *of_kernels = OPS.halving_block_backward.default(
            grad.contiguous(memory_format=LAST), *ctx.saved_tensors, wanted
        )
        return of_x, *(own if wanted else None for own in of_kernels)


@register_fake("stnas::halving_block")  # type: ignore[untyped-decorator]
def _forward(
    x: Tensor, first: Tensor, second: Tensor, shortcut: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    out, z, last = (empty_image(x, out_size(x, first, 2)) for _ in range(3))
    return out, z, last, x.new_empty(2, 2, first.shape[0])


@register_fake("stnas::halving_block_backward")  # type: ignore[untyped-decorator]
def _backward(
    grad: Tensor, x: Tensor, first: Tensor, second: Tensor, shortcut: Tensor, z: Tensor,
    last: Tensor, statistics: Tensor, wants_kernels: bool,
) -> tuple[Tensor, ...]:  # fmt: skip
    shapes = (own.shape if wants_kernels else (0,) for own in (first, second, shortcut))
    return empty_image(x, x.shape), *(x.new_empty(shape) for shape in shapes)


def flops(out: torch.Size, *kernels: torch.Size) -> int:
    """Return the operations of the convolutions of a result ``[N, D, H, W]``."""
    return 2 * sum(map(math.prod, kernels)) * out[0] * math.prod(out[2:])


@register_flop_formula(OPS.halving_block)
def _count_forward(
    x: torch.Size, *kernels: torch.Size, out_shape: Sequence[torch.Size], **_: Any
) -> int:
    return flops(out_shape[0], *kernels)


@register_flop_formula(OPS.halving_block_backward)
def _count_backward(
    grad: torch.Size, x: torch.Size, first: torch.Size, second: torch.Size, shortcut: torch.Size,
    z: torch.Size, last: torch.Size, statistics: torch.Size, wants_kernels: bool, **_: Any,
) -> int:  # fmt: skip
    return (1 + wants_kernels) * flops(grad, first, second, shortcut)


refuse_gradient("halving_block", halving_block)
