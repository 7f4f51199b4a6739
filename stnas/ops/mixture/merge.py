"""Kernels of several sizes merged to one for each edge."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

import stnas.ops.mixture.fake  # noqa: F401
from stnas.ops.dtypes import has_plain_kernels
from stnas.ops.mixture import reference
from stnas.ops.once import once_differentiable

OPS = torch.ops.stnas


def merged_kernels(
    kernels: Sequence[Sequence[Tensor]], shares: Tensor, *, size: int, normalise: bool
) -> Tensor:
    """Merge kernels, the same as the plain twin in ``reference``, which tells the arguments.

    Compiled on the CPU in float32 and float64, with its gradient; the plain twin computes the rest.
    Raises ValueError for wrong shapes.
    """
    if {len(own) for own in kernels} != {shares.shape[-1]} or len(kernels) != len(shares):
        raise ValueError(
            f"kernels must be {list(shares.shape)}, edges and members, as shares are, got "
            f"{[len(own) for own in kernels]}"
        )
    flat = [kernel.contiguous() for own in kernels for kernel in own]
    if not has_plain_kernels(shares) or any(
        own.dtype != shares.dtype or own.is_cpu != shares.is_cpu for own in flat
    ):
        return reference.merged_kernels(kernels, shares, size=size, normalise=normalise)
    shares = shares.contiguous()
    if torch.is_grad_enabled():
        return _Merged.apply(size, normalise, shares, *flat)  # type: ignore
    return OPS.merge_kernels.default(flat, shares, size, normalise)  # type: ignore[no-any-return]


class _Merged(torch.autograd.Function):
    """Merged kernels and their gradient."""

    @staticmethod
    def forward(ctx: Any, size: int, normalise: bool, shares: Tensor, *flat: Tensor) -> Tensor:
        ctx.options = size, normalise
        ctx.save_for_backward(shares, *flat)
        found: Tensor = OPS.merge_kernels.default(flat, shares, size, normalise)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        shares, *flat = ctx.saved_tensors
        of_kernels, of_shares = OPS.merge_kernels_backward.default(
            grad.contiguous(), flat, shares, *ctx.options
        )
        return None, None, of_shares, *of_kernels
