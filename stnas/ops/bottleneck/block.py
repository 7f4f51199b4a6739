"""The fused SE linear bottleneck: the twin's interface, compiled kernels and their gradient."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

import stnas.ops.bottleneck.fake  # noqa: F401
from stnas.ops.bottleneck.arguments import (
    AFFINE,
    OPS,
    WEIGHTS,
    Affine,
    Norms,
    Options,
    affine_parameters,
    checked_input,
    needs_gradient,
    packed,
    running_statistics,
)
from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.ops.bottleneck.running import with_running_statistics
from stnas.ops.once import once_differentiable
from stnas.ops.shapes import check_count, empty_image, out_size


def linear_bottleneck(
    x: Tensor,
    weights: BottleneckWeights,
    norms: Norms,
    *,
    stride: int,
    activation: str,
    residual: bool,
    training: bool,
    momentum: float = 0.1,
    into: Tensor | None = None,
    moments: Tensor | None = None,
) -> Tensor:
    """Apply one choice block: ``BN(project(SE(act(BN(depthwise(act(BN(expand(x))))))))) [+ x]``.

    The same as the plain twin in ``reference``, with the hidden tensors in the cache. x: float32,
    float64 or bfloat16 ``[N, C_in, H, W]``, best in channels_last order, which the result ``[N,
    C_out, ceil(H / stride), ceil(W / stride)]`` has. Beside a bfloat16 x weights and affine
    parameters may be float32 or bfloat16 and statistics and sums are float32. Under autocast to
    bfloat16 x becomes that. training: use the statistics of the batch, and move the running ones,
    where all three BN have them, by ``momentum``; otherwise use the running ones, and where that
    needs a gradient, the plain twin. into: add the result to this tensor, in place and in
    channels_last order, and return it. moments: ``node_moments(x)``, for callers that apply several
    blocks to one x. Raises ValueError for a wrong shape or option, TypeError for a wrong dtype.
    """
    x = checked_input(x, weights.expand)
    options = Options(stride, activation, residual)
    if not training:
        out = with_running_statistics(x, weights, norms, options)
        return out if into is None else into.add_(out)
    weights = packed(weights)
    check_count(x, stride)
    running, affine = running_statistics(norms, weights), affine_parameters(norms)
    if torch.is_grad_enabled() and needs_gradient(x, *weights, *affine, into):
        state = _State(options, running, momentum, moments)
        return _Block.apply(state, into, x, *weights, *affine)  # type: ignore
    out = empty_image(x, out_size(x, weights.project, max(1, stride))) if into is None else into
    add_block_(
        out, x, weights, affine, options, running=running, momentum=momentum, moments=moments,
        add=into is not None,
    )  # fmt: skip
    return out


def node_moments(x: Tensor) -> Tensor:
    """Return mean and covariance over the pixels of x ``[N, C, H, W]``: ``[1 + C, C]``."""
    image = x.contiguous(memory_format=torch.channels_last)
    return OPS.node_moments.default(image)  # type: ignore[no-any-return]


def add_block_(
    into: Tensor,
    x: Tensor,
    weights: Sequence[Tensor],
    affine: Affine,
    options: Options,
    *,
    running: list[Tensor],
    momentum: float,
    moments: Tensor | None = None,
    add: bool = False,
    keep: bool = False,
) -> tuple[Tensor, ...]:
    """Make ``into = [into +] block(x)`` with the batch's statistics, and move the running ones.

    Returns what the gradient needs where ``keep``; empty tensors otherwise.
    """
    kept: tuple[Tensor, ...] = OPS.linear_bottleneck_add_.default(
        x, moments, weights, affine, running, momentum, into, add, *options, keep
    )
    increment_version([into, *running])
    return kept


def affine_gradients(gradient: Tensor, weights: Sequence[Tensor], affine: Affine) -> Affine:
    """Cut the packed gradient of the affine parameters to pieces; None for those that are None."""
    if all(value is None for value in affine):
        return [None] * 6
    hidden, out = weights[0].shape[0], weights[6].shape[0]
    parts = torch.split(gradient, [hidden] * 4 + [out] * 2)
    return [None if v is None else part for part, v in zip(parts, affine, strict=True)]


class _State(NamedTuple):
    options: Options
    running: list[Tensor]
    momentum: float
    moments: Tensor | None


class _Block(torch.autograd.Function):
    """One block and its gradient, without the 100 us that a registered gradient takes."""

    @staticmethod
    def forward(ctx: Any, state: _State, into: Tensor | None, x: Tensor, *tensors: Any) -> Tensor:
        options, running, momentum, moments = state
        weights, affine = tensors[:WEIGHTS], list(tensors[WEIGHTS:])
        if into is None:
            out = empty_image(x, out_size(x, weights[-1], max(1, options.stride)))
        else:
            out = into
            ctx.mark_dirty(into)
        kept = add_block_(
            out, x, weights, affine, options, running=running, momentum=momentum,
            moments=moments, add=into is not None, keep=True,
        )  # fmt: skip
        ctx.set_materialize_grads(False)
        ctx.options = options
        ctx.save_for_backward(x, *weights, *affine, *kept)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Any, ...]:
        if grad is None:
            return (None,) * (3 + WEIGHTS + AFFINE)
        x, *saved = ctx.saved_tensors
        weights, saved = saved[:WEIGHTS], saved[WEIGHTS:]
        affine, kept = saved[:AFFINE], saved[AFFINE:]
        image = grad.contiguous(memory_format=torch.channels_last)
        of_x, of_parameters = OPS.linear_bottleneck_backward.default(
            image, x, weights, affine, kept, *ctx.options
        )
        *of_weights, of_affine = of_parameters
        of_into = grad if ctx.needs_input_grad[1] else None
        return (None, of_into, of_x, *of_weights, *affine_gradients(of_affine, weights, affine))
