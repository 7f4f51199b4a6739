"""Shapes and FLOPs of the operators of a path, which tell both without computing."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import register_fake
from torch.utils.flop_counter import register_flop_formula

from stnas.ops.bottleneck.fake import forward_flops, saved_piece, sums
from stnas.ops.bottleneck.path_plan import WEIGHTS, reached, unpack
from stnas.ops.shapes import Size, empty_image, out_size

OPS = torch.ops.stnas


def by_block(weights: Sequence[Any]) -> list[Sequence[Any]]:
    """Cut the weights of all blocks to those of each."""
    return [weights[i : i + WEIGHTS] for i in range(0, len(weights), WEIGHTS)]


@register_fake("stnas::linear_bottleneck_path")  # type: ignore[untyped-decorator]
def _path(x: Tensor, weights: Sequence[Tensor], *args: Any) -> tuple[list[Tensor], ...]:
    _affine, running, _momenta, numbers, _activation, keep = args
    values, kept = {0: x}, list[Tensor]()
    blocks = iter(by_block(weights))
    for step in unpack(numbers):
        source = values[step.source]
        size: Size = source.shape
        if step.stride:
            own = next(blocks)
            size = out_size(source, own[6], step.stride)
            kept += [saved_piece(source, own[2], size)] if keep else []
        if step.target not in values:
            values[step.target] = empty_image(x, size)
    moved = [torch.empty_like(value) for value in running]
    return list(values.values())[1 if keep else -1 :], kept, moved


@register_fake("stnas::linear_bottleneck_path_backward")  # type: ignore[untyped-decorator]
def _backward(_grad: Tensor, x: Tensor, *args: Any) -> tuple[Tensor, list[Tensor]]:
    _values, weights, affine, _kept, numbers, _activation = args
    found: list[Tensor] = []
    for own, there in zip(by_block(weights), reached(unpack(numbers)), strict=True):
        if there:
            found += [torch.empty_like(weight) for weight in own]
            found += [sums(x, 4 * own[0].shape[0] + 2 * own[6].shape[0])] if affine else []
    return empty_image(x, x.shape), found


def _block_flops(x: Size, weights: Sequence[Any], numbers: Sequence[int]) -> list[int]:
    """Return 2 * MAdds of each block, from sizes."""
    sizes, flops = {0: tuple(x)}, list[int]()
    blocks = iter(by_block(weights))
    for step in unpack(numbers):
        n, _, height, width = size = sizes[step.source]
        if step.stride:
            expand, depthwise, squeeze, *_, project = next(blocks)
            size = (n, project[0], -(-height // step.stride), -(-width // step.stride))
            flops.append(forward_flops(sizes[step.source], expand, depthwise, squeeze, size))
        sizes[step.target] = size
    return flops


@register_flop_formula(OPS.linear_bottleneck_path)
def _count_path(x: Size, weights: Sequence[Size], *args: Any, **_: Any) -> int:
    return sum(_block_flops(x, weights, args[3]))


@register_flop_formula(OPS.linear_bottleneck_path_backward)
def _count_backward(
    _grad: Size, x: Size, _values: Any, weights: Sequence[Size], *args: Any, **_: Any
) -> int:
    numbers = args[2]
    flops = _block_flops(x, weights, numbers)
    return 2 * sum(f for f, there in zip(flops, reached(unpack(numbers)), strict=True) if there)
