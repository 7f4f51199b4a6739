"""The fused SE linear bottleneck: the twin's interface, compiled kernels, gradient and FLOPs."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.library import register_autograd, register_fake
from torch.utils.flop_counter import register_flop_formula

import stnas.ops.extension  # noqa: F401
from stnas.ops import reference
from stnas.ops.dtypes import check_dtypes, widen
from stnas.ops.reference import BatchNorm, BottleneckWeights

BLOCK = 16
"""Channels in a block of the saved hidden tensor."""

Affine = list[Tensor | None]
Size = tuple[int, ...]


def linear_bottleneck(
    x: Tensor,
    weights: BottleneckWeights,
    norms: tuple[BatchNorm, BatchNorm, BatchNorm],
    *,
    stride: int,
    activation: str,
    residual: bool,
    training: bool,
    momentum: float = 0.1,
) -> Tensor:
    """Apply one choice block: ``BN(project(SE(act(BN(depthwise(act(BN(expand(x))))))))) [+ x]``.

    The same as ``stnas.ops.reference.linear_bottleneck``, with the hidden tensors in the cache.
    x: float32, float64 or, in inference, bfloat16 ``[N, C_in, H, W]``, best in channels_last
    order, which the result ``[N, C_out, ceil(H / stride), ceil(W / stride)]`` has. Beside a
    bfloat16 x weights and norms may be float32 or bfloat16; sums are float32. Under autocast the
    block computes in the dtype of its weights and returns it. training: use the statistics of the
    batch, and move the running ones, where given, by ``momentum``; otherwise use the running ones,
    and where that needs a gradient, the plain twin. Raises ValueError for a wrong shape or option,
    TypeError for a wrong dtype.
    """
    if x.dtype != weights.expand.dtype and torch.is_autocast_enabled("cpu"):
        x = x.to(weights.expand.dtype)
    check_dtypes(x, weights.expand, training=training)
    if x.dim() != 4:
        raise ValueError(f"x must have 4 dimensions (N, C, H, W), got {x.dim()}")
    _check_running(norms, weights, required=not training)
    x = x.contiguous(memory_format=torch.channels_last)
    wide = [widen(weight, x) for weight in weights]
    packed = [weight if weight.is_contiguous() else weight.contiguous() for weight in wide]
    affine: Affine = [v if v is None else widen(v, x) for norm in norms for v in norm[:2]]
    if not training and torch.is_grad_enabled() and _need_gradient(x, weights, norms):
        return reference.linear_bottleneck(
            x,
            BottleneckWeights(*(weight.to(x.dtype) for weight in weights)),
            norms,
            stride=stride,
            activation=activation,
            residual=residual,
            training=False,
        )
    if not training:
        running = [widen(v, x) for norm in norms for v in norm[2:] if v is not None]
        return torch.ops.stnas.linear_bottleneck_inference.default(  # type: ignore[no-any-return]
            x, *packed, affine, running, stride, activation, residual
        )
    pixels = x.numel() // x.shape[1] if x.shape[1] else 0
    out_pixels = math.prod(_out_size(x, weights.project, max(1, stride))) // len(weights.project)
    if 0 < out_pixels < 2:
        raise ValueError(
            "x must give more than 1 value per channel when training, got 1: use a larger batch"
        )
    inputs = (x, *packed, *affine, stride, activation, residual)
    out, statistics = _Block.apply(*inputs)  # type: ignore[no-untyped-call]
    sizes = [len(weights.expand)] * 4 + [len(weights.project)] * 2
    counts = [pixels, out_pixels, out_pixels]
    move_running_(norms, statistics, sizes=sizes, counts=counts, momentum=momentum)
    return out  # type: ignore[no-any-return]


def _need_gradient(
    x: Tensor, weights: BottleneckWeights, norms: tuple[BatchNorm, BatchNorm, BatchNorm]
) -> bool:
    """Tell whether autograd records an operator on any of these tensors."""
    affine = [value for norm in norms for value in (norm.weight, norm.bias) if value is not None]
    return any(tensor.requires_grad for tensor in (x, *weights, *affine))


def _check_running(
    norms: tuple[BatchNorm, ...], weights: BottleneckWeights, *, required: bool
) -> None:
    """Raise ValueError where running statistics have a wrong size, or are required and missing."""
    hidden, out = weights.expand.shape[0], weights.project.shape[0]
    for norm, size in zip(norms, (hidden, hidden, out), strict=True):
        for name, value in (("running_mean", norm.running_mean), ("running_var", norm.running_var)):
            if value is None and required:
                raise ValueError(f"{name} must be a tensor, got None: use training=True")
            if value is not None and value.shape != (size,):
                raise ValueError(f"{name} must have shape [{size}], got {list(value.shape)}")


@torch.no_grad()
def move_running_(
    norms: tuple[BatchNorm, ...],
    statistics: Tensor,
    *,
    sizes: list[int],
    counts: list[int],
    momentum: float,
) -> None:
    """Move running statistics in place: ``running += momentum * (batch - running)``.

    statistics: mean and biased variance of every layer, one after the other, of ``sizes``; the
    running variance is the unbiased one, ``var * n / (n - 1)``. counts: n of every layer.
    """
    parts = torch.split(statistics, sizes)
    for norm, mean, var, count in zip(norms, parts[::2], parts[1::2], counts, strict=True):
        if norm.running_mean is not None:
            norm.running_mean.lerp_(mean, momentum)
        if norm.running_var is not None:
            scale = momentum * count / (count - 1)
            norm.running_var.mul_(1 - momentum).add_(var, alpha=scale)


def _out_size(x: Tensor, project: Tensor, stride: int) -> Size:
    """Return the sizes ``[N, C_out, ceil(H / stride), ceil(W / stride)]``."""
    return (x.shape[0], project.shape[0], -(-x.shape[2] // stride), -(-x.shape[3] // stride))


def _expanded_size(x: Tensor, hidden: int) -> Size:
    """Return the sizes of the tensor ``expanded``, by the rule of csrc/cpu/problem.h."""
    n, channels, height, width = x.shape
    if hidden <= channels or channels * (2 * channels + hidden) >= 48 * hidden:
        return (n, -(-hidden // BLOCK), height * width, BLOCK)
    return (1 + hidden, channels)


@register_fake("stnas::linear_bottleneck_forward")  # type: ignore[untyped-decorator]
def _forward_fake(x: Tensor, *args: Any) -> tuple[Tensor, ...]:
    squeeze_weight, project, stride = args[2], args[6], args[13]
    size = _out_size(x, project, stride)
    n, out, pixels = size[0], size[1], size[2] * size[3]
    squeeze, hidden = squeeze_weight.shape
    blocks = -(-hidden // BLOCK)
    return (
        x.new_empty(size).to(memory_format=torch.channels_last),
        x.new_empty(4 * hidden + 2 * out),
        x.new_empty(n, blocks, pixels, BLOCK),
        x.new_empty(n, pixels, out),
        x.new_empty(n, 2 * blocks * BLOCK + -(-squeeze // BLOCK) * BLOCK),
        x.new_empty(_expanded_size(x, hidden)),
    )


@register_fake("stnas::linear_bottleneck_backward")  # type: ignore[untyped-decorator]
def _backward_fake(grad: Tensor, x: Tensor, *args: Any) -> tuple[Tensor, ...]:
    weights, statistics = args[:7], args[8]
    image = torch.empty_like(x, memory_format=torch.channels_last)
    return (image, *(torch.empty_like(w) for w in weights), torch.empty_like(statistics))


@register_fake("stnas::linear_bottleneck_inference")  # type: ignore[untyped-decorator]
def _inference_fake(x: Tensor, *args: Any) -> Tensor:
    project, stride = args[6], args[9]
    return x.new_empty(_out_size(x, project, stride)).to(memory_format=torch.channels_last)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, *weights = inputs[:8]
    affine = inputs[8:14]
    ctx.set_materialize_grads(False)
    ctx.affine = [value is not None for value in affine]
    ctx.options = inputs[14:]
    ctx.save_for_backward(x, *weights, *output[1:], *(v for v in affine if v is not None))


def _gradient(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Any, ...]:
    """Return the gradients of the forward operator's arguments; only ``out`` has one."""
    if grad is None:
        return (None,) * 17
    saved = ctx.saved_tensors
    given = iter(saved[13:])
    affine = [next(given) if present else None for present in ctx.affine]
    *grads, packed = torch.ops.stnas.linear_bottleneck_backward.default(
        grad.contiguous(memory_format=torch.channels_last),
        *saved[:8],
        affine,
        *saved[8:13],
        *ctx.options,
    )
    hidden, out = saved[1].shape[0], saved[7].shape[0]
    parts = packed.split([hidden] * 4 + [out] * 2) if any(ctx.affine) else [None] * 6
    affine_grads = [part if has else None for part, has in zip(parts, ctx.affine, strict=True)]
    return (*grads, *affine_grads, None, None, None)


register_autograd("stnas::linear_bottleneck_forward", _gradient, setup_context=_save)


class _Block(torch.autograd.Function):
    """The forward operator and its gradient, without the 100 us that the registered form takes."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor]:
        output = torch.ops.stnas.linear_bottleneck_forward.default(*inputs)
        _save(ctx, inputs, output)
        ctx.mark_non_differentiable(output[1])
        return output[0], output[1]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        return _gradient(ctx, *grads)


def _no_gradient(ctx: Any, *grads: Any) -> None:
    raise NotImplementedError(
        "linear_bottleneck(training=False) has no gradient: call it under torch.no_grad(), or use "
        "training=True or stnas.ops.reference.linear_bottleneck"
    )


register_autograd("stnas::linear_bottleneck_inference", _no_gradient)


def _forward_flops(x: Size, expand: Size, depthwise: Size, squeeze: Size, out: Size) -> int:
    """Return 2 * MAdds of the convolutions and the two SE layers."""
    hidden, inner = expand[0], math.prod(x[2:])
    outer = out[1] * math.prod(out[2:])
    convolutions = hidden * (x[1] * inner + outer + math.prod(depthwise[2:]) * math.prod(out[2:]))
    return 2 * x[0] * (convolutions + 2 * hidden * squeeze[0])


@register_flop_formula(
    [torch.ops.stnas.linear_bottleneck_forward, torch.ops.stnas.linear_bottleneck_inference]
)
def _count_forward(
    x: Size, expand: Size, depthwise: Size, squeeze: Size, *args: Any, out_shape: Any, **_: Any
) -> int:
    out = out_shape if isinstance(out_shape[0], int) else out_shape[0]
    return _forward_flops(x, expand, depthwise, squeeze, out)


@register_flop_formula(torch.ops.stnas.linear_bottleneck_backward)
def _count_backward(
    grad: Size, x: Size, expand: Size, depthwise: Size, squeeze: Size, *args: Any, **_: Any
) -> int:
    return 2 * _forward_flops(x, expand, depthwise, squeeze, grad)
