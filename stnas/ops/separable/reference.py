"""The plain-PyTorch twin of half a separable convolution: its oracle, ``--kernels reference``."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from stnas.ops.layers.reference import BatchNorm, batch_norm

TINY = 1e-6
"""What is added to a kernel's norm."""
NO_NORM = BatchNorm()
"""BN without affine parameters and running statistics."""


class Term(NamedTuple):
    """A depthwise convolution of ``ReLU(x)``, padded so that ``ceil(side / stride)`` remain."""

    x: Tensor
    """``[N, C, H, W]``."""
    kernel: Tensor | None
    """``[C, 1, K, K]``; None: each ``stride``-th pixel as it is, from ``shift`` on."""
    stride: int = 1
    grid: int = 1
    """Dilation: pixels from one weight to the next."""
    shift: int = 0
    """Without a kernel: the first row and column that is read; beyond the image lie zeros."""


def relu_dw_pw_bn(
    terms: Sequence[Term],
    pointwise: Tensor,
    norm: BatchNorm = NO_NORM,
    *,
    scale: Tensor | None = None,
    training: bool = True,
    momentum: float = 0.1,
) -> Tensor:
    """Compute ``scale BN(W sum_t DW_t ReLU(x_t))``: half a separable convolution.

    terms: one or more, whose results have one size. pointwise: W ``[C_out, C, 1, 1]``. scale: one
    value; None: 1. ``ops.layers.reference.batch_norm`` explains the others. The result is
    ``[N, C_out, ceil(H / stride), ceil(W / stride)]``. Source: the operations ``sep_conv`` and
    ``dil_conv`` of DARTS (Liu et al. 2019, section 3.1).
    """
    first, *others = (depthwise(term) for term in terms)
    total = first
    for value in others:
        total = total + value
    out = batch_norm(
        functional.conv2d(total, pointwise), norm, training=training, momentum=momentum
    )
    return out if scale is None else scale * out


def depthwise(term: Term) -> Tensor:
    """Apply ReLU and the depthwise convolution of a term, or take its pixels."""
    x, kernel, stride, grid, shift = term
    if kernel is None:
        return functional.pad(x.relu(), (0, shift, 0, shift))[:, :, shift::stride, shift::stride]
    rim = grid * (kernel.shape[-1] // 2)
    return functional.conv2d(x.relu(), kernel, None, stride, rim, grid, groups=len(kernel))


def normalised(kernel: Tensor) -> Tensor:
    """Return ``K / (||K||_2 + 1e-6)``, the norm of each output channel ``[C, ...]``."""
    unit: Tensor = kernel / (torch.linalg.vector_norm(kernel, dim=(1, 2, 3), keepdim=True) + TINY)
    return unit


def embedded(kernel: Tensor, size: int) -> Tensor:
    """Return a kernel ``[C, D, k, k]`` in the middle of zeros ``[C, D, size, size]``."""
    rim = (size - kernel.shape[-1]) // 2
    return functional.pad(kernel, (rim, rim, rim, rim))


def mixed_kernel(
    kernels: Sequence[Tensor],
    shares: Sequence[Tensor],
    part: Tensor | None = None,
    *,
    normalise: bool,
) -> Tensor:
    """Return ``part sum_i shares[i] K_i``, smaller kernels in the middle of the largest.

    kernels: depthwise, ``[C, 1, k, k]`` with an odd k each. shares, part: one value each; part
    None: 1. normalise: divide each channel of a kernel by its norm and 1e-6 first.
    """
    size = max(kernel.shape[-1] for kernel in kernels)
    own = [normalised(kernel) if normalise else kernel for kernel in kernels]
    values = [s * embedded(kernel, size) for s, kernel in zip(shares, own, strict=True)]
    total = torch.stack(values).sum(0)
    return total if part is None else part * total
