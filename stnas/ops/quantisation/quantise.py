"""Quantise by torch's operators; rounding is half to even, and its gradient is that of identity."""

from typing import Any

import torch
from torch import Tensor

from stnas.ops.once import once_differentiable

MOST_BITS = 8
TINY = 1e-4
"""Least bound of activations, so that a step is never 0."""


def dorefa(weight: Tensor, bits: int) -> Tensor:
    """Quantise weights to ``bits`` bits in [-1, 1], or with 1 bit to ``mean|w| sign(w)``.

    For k > 1, ``2 round((2^k - 1) u) / (2^k - 1) - 1`` of ``u = tanh(w) / (2 max|tanh w|) + 1/2``,
    the maximum a constant of the gradient, which is ``(1 - tanh(w)^2) / max|tanh w|``. With 1 bit
    the gradient is 1, and the sign of 0 is 1. Source: Zhou et al. 2016 (DoReFa-Net), eq. 6 to 9.
    Raises ValueError for bits outside 1 to 8.
    """
    check_bits(bits)
    if weight.requires_grad and torch.is_grad_enabled():
        return _Weights.apply(weight, bits)  # type: ignore[no-any-return, no-untyped-call]
    return quantised_weights(weight, bits)


def pact(x: Tensor, bound: Tensor, bits: int) -> Tensor:
    """Clip to [0, bound] and quantise to ``bits`` bits: ``round(y n / bound) bound / n``.

    n is ``2^bits - 1``. The gradient of x is 1 between 0 and bound and else 0, that of the bound is
    the sum over what is not below it. bound: one number, of any shape; one below 1e-4 counts as
    that. Source: Choi et al. 2018 (PACT), eq. 1 to 3. Raises ValueError for bits outside 1 to 8.
    """
    check_bits(bits)
    if bound.numel() != 1:
        raise ValueError(f"bound must be one number, got the shape {list(bound.shape)}")
    if torch.is_grad_enabled() and (x.requires_grad or bound.requires_grad):
        return _Activations.apply(x, bound, bits)  # type: ignore[no-any-return, no-untyped-call]
    return quantised_activations(x, bound, bits)


def check_bits(bits: int) -> None:
    """Raise ValueError unless bits are 1 to 8."""
    if not 1 <= bits <= MOST_BITS:
        raise ValueError(f"bits must lie in [1, {MOST_BITS}], got {bits}: choose a number inside")


def quantised_weights(weight: Tensor, bits: int) -> Tensor:
    """Compute the values of ``dorefa``."""
    if bits == 1:
        size = weight.abs().mean()
        signed: Tensor = torch.where(weight < 0, -size, size)
        return signed
    squeezed, steps = torch.tanh(weight), 2**bits - 1
    most = squeezed.abs().max().clamp_min(torch.finfo(weight.dtype).tiny)
    unit = squeezed / (2 * most) + 0.5
    levels = torch.round(steps * unit)
    made: Tensor = levels * (2 / steps) - 1
    return made


def quantised_activations(x: Tensor, bound: Tensor, bits: int) -> Tensor:
    """Compute the values of ``pact``."""
    alpha, steps = bound.reshape(()).clamp_min(TINY), 2**bits - 1
    clipped = torch.minimum(x.clamp_min(0), alpha)
    levels = torch.round(clipped * (steps / alpha))
    made: Tensor = levels * (alpha / steps)
    return made


class _Weights(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, bits: int) -> Tensor:
        ctx.bits = bits
        ctx.save_for_backward(weight)
        return quantised_weights(weight, bits)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        if ctx.bits == 1:
            return grad, None
        squeezed = torch.tanh(ctx.saved_tensors[0])
        most = squeezed.abs().max().clamp_min(torch.finfo(squeezed.dtype).tiny)
        return grad * (1 - squeezed.square()) / most, None


class _Activations(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: Tensor, bits: int) -> Tensor:
        ctx.save_for_backward(x, bound)
        return quantised_activations(x, bound, bits)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        x, bound = ctx.saved_tensors
        alpha = bound.reshape(()).clamp_min(TINY)
        inside, above = (x > 0) & (x < alpha), x >= alpha
        return grad * inside, (grad * above).sum().reshape(bound.shape), None
