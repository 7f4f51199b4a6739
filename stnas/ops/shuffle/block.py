"""The fused shuffle block: the twin's interface, compiled kernels and their gradient."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import increment_version
from torch.library import register_autograd

import stnas.ops.shuffle.fake  # noqa: F401
from stnas.ops.dtypes import has_plain_kernels
from stnas.ops.layers.reference import BatchNorm, SyncBatchNorm
from stnas.ops.shapes import check_count
from stnas.ops.shuffle import reference
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
    float64: in training with its gradient, with running statistics without one. The plain twin
    computes the rest, by torch's operators: other devices and dtypes, autocast, an empty batch,
    gradients with running statistics, and BN layers that share statistics between processes.
    Raises ValueError for a wrong shape or stride.
    """
    flat = [*weights.main, *weights.project]
    affine: Affine = [value for norm in norms for value in norm[:2]]
    recorded = torch.is_grad_enabled() and any(
        value is not None and value.requires_grad for value in (x, *flat, *affine)
    )
    if not has_kernels(x, flat, norms) or (recorded and not training):
        return reference.shuffle_block(
            x, weights, norms, stride=stride, training=training, momentum=momentum
        )
    x = x.contiguous(memory_format=torch.channels_last)
    flat = [weight.contiguous() for weight in flat]
    options = Options(len(weights.main), stride)
    running = running_statistics(norms, flat)
    if not training:
        return infer(x, flat, affine, running, options)
    check_count(x, stride)
    if recorded:
        out: Tensor = _Block.apply(options, running, momentum, x, *flat, *affine)  # type: ignore
        return out
    return train_(x, flat, affine, running, momentum, options, keep=False)[0]


def has_kernels(x: Tensor, weights: Sequence[Tensor], norms: Sequence[BatchNorm]) -> bool:
    """Tell whether the compiled operators compute a block of these tensors."""
    return (
        has_plain_kernels(x)
        and all(weight.dtype == x.dtype for weight in weights)
        and not torch.is_autocast_enabled(x.device.type)
        and not any(isinstance(norm, SyncBatchNorm) for norm in norms)
    )


def running_statistics(norms: Sequence[BatchNorm], weights: Sequence[Tensor]) -> list[Tensor]:
    """List running mean and variance of each BN, or nothing where none has them.

    Where some are missing, tensors that nobody reads stand in for them.
    """
    if all(value is None for norm in norms for value in norm[2:]):
        return []
    return [
        weight.new_zeros(len(weight)) if value is None else value
        for norm, weight in zip(norms, weights, strict=True)
        for value in norm[2:]
    ]


def infer(
    x: Tensor, weights: list[Tensor], affine: Affine, running: list[Tensor], options: Options
) -> Tensor:
    """Apply a block with running statistics."""
    if not running:
        raise ValueError("running_mean must be a tensor, got None: use training=True")
    return OPS.shuffle_block_inference.default(  # type: ignore[no-any-return]
        x, weights, options.main, affine, running, options.stride
    )


def train_(
    x: Tensor, weights: list[Tensor], affine: Affine, running: list[Tensor], momentum: float,
    options: Options, *, keep: bool,
) -> tuple[Tensor, list[Tensor], Tensor]:  # fmt: skip
    """Apply a block with the batch's statistics, and move the running ones.

    Returns the result, and what the gradient needs where ``keep``: values and statistics.
    """
    found: tuple[Tensor, list[Tensor], Tensor] = OPS.shuffle_block_train_.default(
        x, weights, options.main, affine, running, momentum, options.stride, keep
    )
    increment_version(running)
    return found


class _Block(torch.autograd.Function):
    """A block with batch statistics and its gradient."""

    @staticmethod
    def forward(
        ctx: Any, options: Options, running: list[Tensor], momentum: float, x: Tensor, *tensors: Any
    ) -> Tensor:
        count = len(tensors) // 3
        weights, affine = list(tensors[:count]), list(tensors[count:])
        out, values, statistics = train_(x, weights, affine, running, momentum, options, keep=True)
        ctx.set_materialize_grads(False)
        ctx.options = options
        ctx.save_for_backward(x, statistics, *values, *tensors)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Any, ...]:
        x, statistics, *saved = ctx.saved_tensors
        count = len(saved) // 4
        values, weights, affine = saved[:count], saved[count : 2 * count], saved[2 * count :]
        if grad is None:
            return (None,) * (4 + 3 * count)
        main, stride = ctx.options
        of_x, of_weights, of_affine = OPS.shuffle_block_backward.default(
            grad.contiguous(memory_format=torch.channels_last),
            x, weights, main, affine, values, statistics, stride,
        )  # fmt: skip
        return (None, None, None, of_x, *of_weights, *affine_gradients(of_affine, weights, affine))


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
