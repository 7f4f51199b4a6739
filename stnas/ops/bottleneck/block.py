"""The fused SE linear bottleneck: the twin's interface, compiled kernels and their gradient."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import increment_version
from torch.library import register_autograd

import stnas.ops.bottleneck.fake  # noqa: F401
from stnas.ops.bottleneck import reference
from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.ops.dtypes import autocast_input, check_dtypes, widen
from stnas.ops.layers.reference import BatchNorm
from stnas.ops.shapes import check_count, empty_image, out_size

OPS = torch.ops.stnas

WEIGHTS, AFFINE = 7, 6
"""Tensors of a block that may have gradients."""

Norms = tuple[BatchNorm, BatchNorm, BatchNorm]
Affine = list[Tensor | None]


class Options(NamedTuple):
    """What a choice block is besides its tensors."""

    stride: int
    activation: str
    residual: bool


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
        out = _with_running(x, weights, norms, options)
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


def checked_input(x: Tensor, weight: Tensor) -> Tensor:
    """Return x in channels_last order and, under autocast, in its dtype."""
    x = autocast_input(x, weight)
    check_dtypes(x, weight)
    if x.dim() != 4:
        raise ValueError(f"x must have 4 dimensions (N, C, H, W), got {x.dim()}")
    return x.contiguous(memory_format=torch.channels_last)


def packed(weights: BottleneckWeights) -> BottleneckWeights:
    """Return the weights without gaps in memory, bfloat16 as float32."""
    return BottleneckWeights(*(widen(w if w.is_contiguous() else w.contiguous()) for w in weights))


def affine_parameters(norms: Norms) -> Affine:
    """List weight and bias of the three BN, bfloat16 as float32."""
    return [v if v is None else widen(v) for norm in norms for v in norm[:2]]


def running_statistics(norms: Norms, weights: Sequence[Tensor]) -> list[Tensor]:
    """List running mean and variance of the three BN, or nothing where there are none.

    Where some are missing, tensors that nobody reads stand in for them.
    """
    values = [value for norm in norms for value in norm[2:]]
    if all(value is None for value in values):
        return []
    sizes = [len(weights[0])] * 4 + [len(weights[6])] * 2
    return [
        weights[0].new_zeros(size) if value is None else value
        for value, size in zip(values, sizes, strict=True)
    ]


def needs_gradient(*tensors: Tensor | None) -> bool:
    """Tell whether autograd records an operator on any of these tensors."""
    return any(tensor is not None and tensor.requires_grad for tensor in tensors)


def _with_running(x: Tensor, weights: BottleneckWeights, norms: Norms, options: Options) -> Tensor:
    """Apply a block with running statistics."""
    running = [value for norm in norms for value in norm[2:]]
    for value, name in zip(running, ["running_mean", "running_var"] * 3, strict=True):
        if value is None:
            raise ValueError(f"{name} must be a tensor, got None: use training=True")
    affine = [value for norm in norms for value in norm[:2]]
    if torch.is_grad_enabled() and needs_gradient(x, *weights, *affine):
        return _Inference.apply(options, x, *weights, *affine, *running)  # type: ignore
    return _infer(x, weights, affine, running, options)


def _infer(
    x: Tensor, weights: Sequence[Tensor], affine: Affine, running: Affine, options: Options
) -> Tensor:
    wide = [None if value is None else widen(value) for value in (*affine, *running)]
    return OPS.linear_bottleneck_inference.default(  # type: ignore[no-any-return]
        x, packed(BottleneckWeights(*weights)), wide[:6], wide[6:], *options
    )


class _Inference(torch.autograd.Function):
    """A block with running statistics, whose gradient is that of the plain twin, computed late.

    So that a pass which nobody differentiates costs no more where gradients are on than where they
    are off.
    """

    @staticmethod
    def forward(ctx: Any, options: Options, x: Tensor, *tensors: Any) -> Tensor:
        ctx.options = options
        ctx.save_for_backward(x, *tensors)
        return _infer(x, tensors[:7], list(tensors[7:13]), list(tensors[13:]), options)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        wanted = ctx.needs_input_grad[1:]
        tensors: list[Any] = [
            None if value is None else value.detach().requires_grad_(needed)
            for value, needed in zip(ctx.saved_tensors, wanted, strict=True)
        ]
        with torch.enable_grad():
            out = _plain(*tensors, options=ctx.options)
        inputs = [value for value, needed in zip(tensors, wanted, strict=True) if needed]
        found = iter(torch.autograd.grad(out, inputs, grad))
        return (None, *(next(found) if needed else None for needed in wanted))


def _plain(x: Tensor, *tensors: Any, options: Options) -> Tensor:
    """Apply the plain twin, its weights in the dtype of x, to what ``_Inference`` keeps."""
    weights = BottleneckWeights(*(weight.to(x.dtype) for weight in tensors[:7]))
    affine, running = tensors[7:13], tensors[13:]
    norms = [BatchNorm(*affine[i : i + 2], *running[i : i + 2]) for i in (0, 2, 4)]
    first, second, third = norms
    return reference.linear_bottleneck(
        x, weights, (first, second, third), training=False, **options._asdict()
    )


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
    @torch.autograd.function.once_differentiable
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


def _no_gradient(ctx: Any, *grads: Any) -> None:
    raise NotImplementedError(
        "linear_bottleneck(training=False) has no gradient: call it under torch.no_grad(), or use "
        "training=True or stnas.ops.bottleneck.reference.linear_bottleneck"
    )


register_autograd("stnas::linear_bottleneck_inference", _no_gradient)
