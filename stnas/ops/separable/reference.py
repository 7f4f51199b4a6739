"""The plain-PyTorch twin of half a separable convolution: its oracle, ``--kernels reference``."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from stnas.ops.layers.reference import BatchNorm, batch_norm

NO_NORM = BatchNorm()
"""BN without affine parameters and running statistics."""


class Term(NamedTuple):
    """A depthwise convolution of ``ReLU(x)``, padded so that ``ceil(side / stride)`` remain."""

    x: Tensor
    """``[N, C, H, W]``."""
    kernel: Tensor
    """``[C, 1, K, K]``."""
    stride: int = 1
    grid: int = 1
    """Dilation: pixels from one weight to the next."""


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
    """Apply ReLU and the depthwise convolution of a term."""
    x, kernel, stride, grid = term
    rim = grid * (kernel.shape[-1] // 2)
    return functional.conv2d(x.relu(), kernel, None, stride, rim, grid, groups=len(kernel))
