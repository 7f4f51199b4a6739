"""Shapes and FLOPs of the operators of a path, which tell both without computing."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import register_fake
from torch.utils.flop_counter import register_flop_formula

from stnas.ops.bottleneck.arguments import WEIGHTS
from stnas.ops.bottleneck.fake import forward_flops, saved_piece, sums
from stnas.ops.bottleneck.path_plan import reached, unpack
from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.ops.shapes import Size, empty_image, out_size

OPS = torch.ops.stnas


def by_block(weights: Sequence[Any]) -> list[Sequence[Any]]:
    """Cut the weights of all blocks to those of each."""
    return [weights[i : i + WEIGHTS] for i in range(0, len(weights), WEIGHTS)]


@register_fake("stnas::linear_bottleneck_path")  # type: ignore[untyped-decorator]
def _path(
    x: Tensor, weights: Sequence[Tensor], affine: Any, running: list[Tensor], momenta: Any,
    plan: list[int], activation: str, keep: bool,
) -> tuple[list[Tensor], ...]:  # fmt: skip
    values, kept = {0: x}, list[Tensor]()
    blocks = iter(by_block(weights))
    for step in unpack(plan):
        source = values[step.source]
        size: Size = source.shape
        if step.stride:
            own = BottleneckWeights(*next(blocks))
            size = out_size(source, own.project, step.stride)
            kept += [saved_piece(source, own.squeeze_weight, size)] if keep else []
        if step.target not in values:
            values[step.target] = empty_image(x, size)
    moved = [torch.empty_like(value) for value in running]
    return list(values.values())[1 if keep else -1 :], kept, moved


@register_fake("stnas::linear_bottleneck_path_backward")  # type: ignore[untyped-decorator]
def _backward(
    grad: Tensor, x: Tensor, values: Any, weights: list[Tensor], affine: list[Tensor | None],
    kept: Any, plan: list[int], activation: str,
) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
    found: list[Tensor] = []
    for own, there in zip(by_block(weights), reached(unpack(plan)), strict=True):
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
            own = next(blocks)
            size = (n, own[-1][0], -(-height // step.stride), -(-width // step.stride))
            flops.append(forward_flops(sizes[step.source], own, size))
        sizes[step.target] = size
    return flops


@register_flop_formula(OPS.linear_bottleneck_path)
def _count_path(
    x: Size, weights: Sequence[Size], affine: Any, running: Any, momenta: Any, plan: list[int],
    *_: Any, **__: Any,
) -> int:  # fmt: skip
    return sum(_block_flops(x, weights, plan))


@register_flop_formula(OPS.linear_bottleneck_path_backward)
def _count_backward(
    grad: Size, x: Size, values: Any, weights: Sequence[Size], affine: Any, kept: Any,
    plan: list[int], *_: Any, **__: Any,
) -> int:  # fmt: skip
    flops = _block_flops(x, weights, plan)
    return 2 * sum(f for f, there in zip(flops, reached(unpack(plan)), strict=True) if there)
