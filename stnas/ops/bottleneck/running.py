"""A choice block with running statistics: the compiled operator, and its gradient by the twin."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.library import register_autograd

from stnas.ops.bottleneck import reference
from stnas.ops.bottleneck.arguments import OPS, Affine, Norms, Options, needs_gradient, packed
from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.ops.dtypes import widen
from stnas.ops.layers.reference import BatchNorm
from stnas.ops.once import gradients_of_twin, once_differentiable


def with_running_statistics(
    x: Tensor, weights: BottleneckWeights, norms: Norms, options: Options
) -> Tensor:
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
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        twin = partial(_plain, options=ctx.options)
        return (None, *gradients_of_twin(twin, ctx.saved_tensors, ctx.needs_input_grad[1:], grad))


def _plain(x: Tensor, *tensors: Any, options: Options) -> Tensor:
    """Apply the plain twin, its weights in the dtype of x, to what ``_Inference`` keeps."""
    weights = BottleneckWeights(*(weight.to(x.dtype) for weight in tensors[:7]))
    affine, running = tensors[7:13], tensors[13:]
    norms = [BatchNorm(*affine[i : i + 2], *running[i : i + 2]) for i in (0, 2, 4)]
    first, second, third = norms
    return reference.linear_bottleneck(
        x, weights, (first, second, third), training=False, **options._asdict()
    )


def _no_gradient(ctx: Any, *grads: Any) -> None:
    raise NotImplementedError(
        "linear_bottleneck(training=False) has no gradient: call it under torch.no_grad(), or use "
        "training=True or stnas.ops.bottleneck.reference.linear_bottleneck"
    )


register_autograd("stnas::linear_bottleneck_inference", _no_gradient)
