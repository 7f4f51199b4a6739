"""Shapes and FLOPs of the shuffle block's operators, which tell both without computing."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import register_fake
from torch.utils.flop_counter import register_flop_formula

import stnas.ops.extension  # noqa: F401
from stnas.ops.bottleneck.fake import BLOCK
from stnas.ops.shapes import Size, empty_image


def outputs(
    x: Size, weights: Sequence[Size], main: int, stride: int
) -> list[tuple[int, int, int, int]]:
    """Return the sizes ``[N, C, H, W]`` of what each convolution of both heads gives."""
    found = []
    for head in (weights[:main], weights[main:]):
        n, _, height, width = x
        step = stride
        for size in head:
            if size[-1] > 1:
                height, width, step = -(-height // step), -(-width // step), 1
            found.append((n, size[0], height, width))
    return found


def out_size(x: Size, layers: Sequence[Size], main: int) -> Size:
    """Return the sizes of the block's result from those of its convolutions."""
    n, channels, height, width = layers[main - 1]
    beside = layers[-1][1] if len(layers) > main else x[1] // 2
    return (n, channels + beside, height, width)


def layers_of(
    x: Tensor, weights: Sequence[Tensor], main: int, stride: int
) -> list[tuple[int, int, int, int]]:
    """Return ``outputs`` of tensors."""
    return outputs(x.shape, [weight.shape for weight in weights], main, stride)


# The names of the arguments are the schema's.
@register_fake("stnas::shuffle_block_train")  # type: ignore[untyped-decorator]
def _train(
    x: Tensor, weights: list[Tensor], main: int, affine: Any, stride: int, keep: bool
) -> tuple[Tensor, list[Tensor], Tensor]:
    layers = layers_of(x, weights, main, stride)
    kept = [n * -(-c // BLOCK) * BLOCK * h * w for n, c, h, w in layers] if keep else []
    statistics = x.new_empty(2 * sum(size[1] for size in layers))
    values = [x.new_empty(count) for count in kept]
    return empty_image(x, out_size(x.shape, layers, main)), values, statistics


@register_fake("stnas::shuffle_block_backward")  # type: ignore[untyped-decorator]
def _backward(
    grad: Tensor, x: Tensor, weights: list[Tensor], main: int, affine: Any, values: list[Tensor],
    statistics: Tensor, stride: int,
) -> tuple[Tensor, list[Tensor], Tensor]:  # fmt: skip
    own = [torch.empty_like(weight) for weight in weights]
    return empty_image(x, x.shape), own, torch.empty_like(statistics)


@register_fake("stnas::shuffle_block_inference")  # type: ignore[untyped-decorator]
def _inference(
    x: Tensor, weights: list[Tensor], main: int, affine: Any, running: Any, stride: int
) -> Tensor:
    return empty_image(x, out_size(x.shape, layers_of(x, weights, main, stride), main))


def forward_flops(x: Size, weights: Sequence[Size], main: int, stride: int) -> int:
    """Return 2 * MAdds of the convolutions, from the sizes of tensors."""
    layers = outputs(x, weights, main, stride)
    return sum(
        2 * math.prod(size) * math.prod(weight[1:])
        for size, weight in zip(layers, weights, strict=True)
    )


@register_flop_formula(torch.ops.stnas.shuffle_block_train)
def _count_train(
    x: Size, weights: Sequence[Size], main: int, affine: Any, stride: int, *_: Any, **__: Any
) -> int:
    return forward_flops(x, weights, main, stride)


@register_flop_formula(torch.ops.stnas.shuffle_block_inference)
def _count_inference(
    x: Size, weights: Sequence[Size], main: int, affine: Any, running: Any, stride: int,
    *_: Any, **__: Any,
) -> int:  # fmt: skip
    return forward_flops(x, weights, main, stride)


@register_flop_formula(torch.ops.stnas.shuffle_block_backward)
def _count_backward(
    grad: Size, x: Size, weights: Sequence[Size], main: int, affine: Any, values: Any,
    statistics: Any, stride: int, *_: Any, **__: Any,
) -> int:  # fmt: skip
    return 2 * forward_flops(x, weights, main, stride)
