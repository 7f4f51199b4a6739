"""The fused shuffle block: the twin's interface, compiled kernels and their gradient."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.library import register_autograd

from stnas.ops.dtypes import has_plain_kernels
from stnas.ops.layers.reference import BatchNorm, SyncBatchNorm
from stnas.ops.once import gradients_of_twin, once_differentiable
from stnas.ops.shapes import Size, check_count
from stnas.ops.shuffle import reference
from stnas.ops.shuffle.fake import layers_of
from stnas.ops.shuffle.reference import ShuffleWeights

OPS = torch.ops.stnas

Affine = list[Tensor | None]


class Options(NamedTuple):
    """What a shuffle block is besides its tensors."""

    main: int
    """Weights of the first head."""
    stride: int


def shuffle_block(
    x: Tensor,
    weights: ShuffleWeights,
    norms: Sequence[BatchNorm],
    *,
    stride: int,
    training: bool,
    momentum: float = 0.1,
) -> Tensor:
    """Apply a choice block, the same as the plain twin in ``reference``, which tells the arguments.

    x: best in channels_last order, which the result has. Compiled on the CPU in float32 and
    float64, in training with its gradient. The plain twin computes the rest, by torch's operators:
    other devices and dtypes, autocast, an empty batch, the gradient with running statistics, and
    BN layers that share statistics between processes. Raises ValueError for wrong shapes.
    """
    flat = [*weights.main, *weights.project]
    affine: Affine = [value for norm in norms for value in norm[:2]]
    recorded = torch.is_grad_enabled() and any(
        value is not None and value.requires_grad for value in (x, *flat, *affine)
    )
    if not has_kernels(x, flat, norms):
        return reference.shuffle_block(
            x, weights, norms, stride=stride, training=training, momentum=momentum
        )
    if x.dim() != 4:
        raise ValueError(f"x must have 4 dimensions (N, C, H, W), got {x.dim()}")
    check_running(norms, flat)
    x = x.contiguous(memory_format=torch.channels_last)
    flat = [weight.contiguous() for weight in flat]
    options = Options(len(weights.main), stride)
    if not training:
        running = running_statistics(norms)
        if recorded:
            return _Inference.apply(options, x, *flat, *affine, *running)  # type: ignore
        return infer(x, flat, affine, running, options)
    check_count(x, stride)
    if recorded:
        out, statistics = _Block.apply(options, x, *flat, *affine)  # type: ignore
    else:
        out, _, statistics = train(x, flat, affine, options, keep=False)
    if any(value is not None for norm in norms for value in norm[2:]):
        move_running_(norms, statistics, layers_of(x, flat, *options), momentum=momentum)
    return out  # type: ignore[no-any-return]


def has_kernels(x: Tensor, weights: Sequence[Tensor], norms: Sequence[BatchNorm]) -> bool:
    """Tell whether the compiled operators compute a block of these tensors."""
    return (
        has_plain_kernels(x)
        and all(weight.dtype == x.dtype for weight in weights)
        and not torch.is_autocast_enabled(x.device.type)
        and not any(isinstance(norm, SyncBatchNorm) for norm in norms)
    )


def check_running(norms: Sequence[BatchNorm], weights: Sequence[Tensor]) -> None:
    """Raise ValueError unless there is a BN for each convolution, its statistics of its size."""
    if len(norms) != len(weights):
        raise ValueError(f"norms must be {len(weights)}, one a convolution, got {len(norms)}")
    for norm, weight in zip(norms, weights, strict=True):
        for value, name in ((norm.running_mean, "running_mean"), (norm.running_var, "running_var")):
            if value is not None and value.shape != weight.shape[:1]:
                raise ValueError(f"{name} must have shape [{len(weight)}], got {list(value.shape)}")


def running_statistics(norms: Sequence[BatchNorm]) -> list[Tensor]:
    """List running mean and variance of each BN. Raises ValueError for one that is missing."""
    found: list[Tensor] = []
    for norm in norms:
        for value, name in zip(norm[2:], ("running_mean", "running_var"), strict=True):
            if value is None:
                raise ValueError(f"{name} must be a tensor, got None: use training=True")
            found.append(value)
    return found


@torch.no_grad()
def move_running_(
    norms: Sequence[BatchNorm], statistics: Tensor, layers: Sequence[Size], *, momentum: float
) -> None:
    """Move the running statistics that are there towards means and variances of a batch.

    statistics: mean and biased variance of each BN, one after the other. layers: sizes of what each
    one normalises; the running variance is the unbiased one.
    """
    parts = iter(torch.split(statistics, [size[1] for size in layers for _ in range(2)]))
    for norm, size in zip(norms, layers, strict=True):
        count = math.prod(size) // size[1]
        mean, variance = next(parts), next(parts)
        if norm.running_mean is not None:
            norm.running_mean.lerp_(mean, momentum)
        if norm.running_var is not None:
            norm.running_var.lerp_(variance * (count / (count - 1)), momentum)


def infer(
    x: Tensor, weights: list[Tensor], affine: Affine, running: list[Tensor], options: Options
) -> Tensor:
    """Apply a block with running statistics."""
    return OPS.shuffle_block_inference.default(  # type: ignore[no-any-return]
        x, weights, options.main, affine, running, options.stride
    )


def train(
    x: Tensor, weights: list[Tensor], affine: Affine, options: Options, *, keep: bool
) -> tuple[Tensor, list[Tensor], Tensor]:
    """Apply a block with the batch's statistics.

    Returns the result, the values that the gradient needs where ``keep``, and the statistics.
    """
    found: tuple[Tensor, list[Tensor], Tensor] = OPS.shuffle_block_train.default(
        x, weights, options.main, affine, options.stride, keep
    )
    return found


class _Block(torch.autograd.Function):
    """A block with batch statistics, which it returns too, and its gradient."""

    @staticmethod
    def forward(ctx: Any, options: Options, x: Tensor, *tensors: Any) -> tuple[Tensor, Tensor]:
        count = len(tensors) // 3
        weights, affine = list(tensors[:count]), list(tensors[count:])
        out, values, statistics = train(x, weights, affine, options, keep=True)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(statistics)
        ctx.options = options
        ctx.save_for_backward(x, statistics, *values, *tensors)
        return out, statistics

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Any, ...]:
        x, statistics, *saved = ctx.saved_tensors
        count = len(saved) // 4
        values, weights, affine = saved[:count], saved[count : 2 * count], saved[2 * count :]
        if grad is None:
            return (None,) * (2 + 3 * count)
        main, stride = ctx.options
        of_x, of_weights, of_affine = OPS.shuffle_block_backward.default(
            grad.contiguous(memory_format=torch.channels_last),
            x, weights, main, affine, values, statistics, stride,
        )  # fmt: skip
        return (None, of_x, *of_weights, *affine_gradients(of_affine, weights, affine))


class _Inference(torch.autograd.Function):
    """A block with running statistics, whose gradient is that of the plain twin, computed late."""

    @staticmethod
    def forward(ctx: Any, options: Options, x: Tensor, *tensors: Any) -> Tensor:
        count = len(tensors) // 5
        ctx.options = options
        ctx.save_for_backward(x, *tensors)
        weights, affine, running = split(tensors, count)
        return infer(x, weights, affine, running, options)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:

        def twin(x: Tensor, *tensors: Tensor) -> Tensor:
            return plain(x, *split(tensors, len(tensors) // 5), ctx.options)

        return (None, *gradients_of_twin(twin, ctx.saved_tensors, ctx.needs_input_grad[1:], grad))


def split(tensors: Sequence[Any], count: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Return the weights of ``count`` convolutions, affine parameters and running statistics."""
    return list(tensors[:count]), list(tensors[count : 3 * count]), list(tensors[3 * count :])


def plain(
    x: Tensor, weights: list[Tensor], affine: Affine, running: list[Tensor], options: Options
) -> Tensor:
    """Apply the plain twin with running statistics."""
    norms = [BatchNorm(*affine[i : i + 2], *running[i : i + 2]) for i in range(0, len(running), 2)]
    heads = ShuffleWeights(tuple(weights[: options.main]), tuple(weights[options.main :]))
    return reference.shuffle_block(x, heads, norms, stride=options.stride, training=False)


def affine_gradients(gradient: Tensor, weights: Sequence[Tensor], affine: Affine) -> Affine:
    """Cut the packed gradient of the affine parameters to pieces; None for those that are None."""
    if all(value is None for value in affine):
        return [None] * len(affine)
    parts = torch.split(gradient, [len(weight) for weight in weights for _ in range(2)])
    return [None if v is None else part for part, v in zip(parts, affine, strict=True)]


def _no_gradient(ctx: Any, *grads: Any) -> None:
    raise NotImplementedError(
        "shuffle_block_inference has no gradient: call it under torch.no_grad(), or use "
        "training=True or stnas.ops.shuffle.reference.shuffle_block"
    )


register_autograd("stnas::shuffle_block_inference", _no_gradient)
