"""A mixed cell: torch's convolutions, and the compiled operators for everything between them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

import stnas.ops.mixture.fake  # noqa: F401
from stnas.ops.dtypes import autocasts, has_plain_kernels
from stnas.ops.mixture import reference
from stnas.ops.mixture.reference import Stacks
from stnas.ops.once import once_differentiable
from stnas.ops.shapes import check_count

OPS = torch.ops.stnas
LAST = torch.channels_last


def mixed_cell(x: Tensor, stacks: Stacks, shares: Tensor) -> Tensor:
    """Compute a mixed cell, the same as the plain twin in ``reference``, which tells the arguments.

    x: best in channels_last order, which the result has. Compiled on the CPU in float32 and
    float64, with its gradient; the convolutions are torch's. The plain twin computes the rest:
    other devices and dtypes, autocast, no images. Raises ValueError for wrong shapes.
    """
    check_shapes(x, stacks, shares)
    flat = [kernel for stack in stacks for kernel in stack]
    plain = not has_plain_kernels(x) or autocasts(x)
    if plain or any(own.dtype != x.dtype for own in (shares, *flat)):
        return reference.mixed_cell(x, stacks, shares)
    check_count(x)
    x, shares = x.contiguous(memory_format=LAST), shares.contiguous()
    if torch.is_grad_enabled():
        return _Cell.apply(len(stacks), x, shares, *flat)  # type: ignore
    return forward(x, stacks, shares).values[-1]


def check_shapes(x: Tensor, stacks: Stacks, shares: Tensor) -> None:
    """Raise ValueError for stacks and shares that make no cell over x."""
    if x.dim() != 4:
        raise ValueError(f"x must have 4 dimensions (N, C, H, W), got {x.dim()}")
    if not stacks:
        raise ValueError("stacks must hold the kernels of 1 node or more, got none")
    nodes, each, width = len(stacks), len(stacks[0]), x.shape[1]
    for source, stack in enumerate(stacks):
        if len(stack) != each:
            raise ValueError(
                f"stacks must hold equally many kernels for each node, {each}, got {len(stack)}"
            )
        for kernel in stack:
            size = kernel.shape[-1] if kernel.dim() == 4 else 0
            wanted = [(nodes - source) * width, width, size, size]
            if list(kernel.shape) != wanted or size % 2 == 0:
                raise ValueError(
                    f"stacks[{source}] must hold kernels [{wanted[0]}, {width}, size, size] of an "
                    f"odd size, got {list(kernel.shape)}"
                )
    wanted = [nodes * (nodes + 1) // 2, 2 + each]
    if list(shares.shape) != wanted:
        raise ValueError(
            f"shares must have shape {wanted}, a row for each edge, got {list(shares.shape)}"
        )


class Computed(NamedTuple):
    """What a pass through a cell gives."""

    values: list[Tensor]
    """Of all nodes."""
    rectified: list[Tensor]
    """``max(v, 0)`` of all nodes but the last."""
    convolved: list[list[Tensor]]
    """Of each node but the last what each kernel gives, for all edges that leave it."""
    statistics: list[Tensor]
    """Of the branches of each node but the first."""


def forward(x: Tensor, stacks: Stacks, shares: Tensor) -> Computed:
    """Go through the nodes in order."""
    found = Computed([x], [x.relu()], [], [])
    for target, (stack, rows) in enumerate(zip(stacks, rows_of(shares), strict=True), start=1):
        found.convolved.append([convolved(found.rectified[-1], kernel) for kernel in stack])
        value, rectified, statistics = OPS.mixed_node.default(
            found.values, entering(found.convolved, target), rows
        )
        found.values.append(value)
        found.rectified.append(rectified)
        found.statistics.append(statistics)
    found.rectified.pop()
    return found


def rows_of(shares: Tensor) -> list[Tensor]:
    """Return the rows of the edges that enter each node but the first: 1, 2, 3, ..."""
    rows, first, count = list[Tensor](), 0, 1
    while first < len(shares):
        rows.append(shares[first : first + count])
        first, count = first + count, count + 1
    return rows


def convolved(x: Tensor, kernel: Tensor) -> Tensor:
    """Apply a kernel, padded by half its size, to a result in channels_last order."""
    return torch.conv2d(x, kernel, None, 1, kernel.shape[-1] // 2).contiguous(memory_format=LAST)


def entering(convolved: Sequence[Sequence[Tensor]], target: int) -> list[Tensor]:
    """List what the nodes before a target give, source by source."""
    return [one for own in convolved[:target] for one in own]


def backward(
    grad: Tensor, found: Computed, stacks: Stacks, shares: Tensor, *, wants: tuple[bool, bool]
) -> tuple[Tensor, Tensor | None, list[list[Tensor | None]]]:
    """Go through the nodes in reverse; return the gradients of x, shares and kernels.

    wants: the gradients of the shares and of the kernels.
    """
    of_values = [torch.empty_like(value) for value in found.values[:-1]]
    of_convolved = [[torch.empty_like(one) for one in own] for own in found.convolved]
    of_shares, of_stacks = list[Tensor](), list[list[Tensor | None]]()
    of_rectified: Tensor | None = None
    rows = rows_of(shares)
    for target in range(len(stacks), 0, -1):
        last = of_rectified is None
        of_shares.append(
            OPS.mixed_node_backward_.default(
                grad if last else of_values[target],
                None if last else found.rectified[target],
                of_rectified,
                found.values[:target],
                entering(found.convolved, target),
                rows[target - 1],
                found.statistics[target - 1],
                of_values[:target],
                entering(of_convolved, target),
                not last,
                wants[0],
            )
        )
        of_rectified, of_stack = convolution_gradients(
            of_convolved[target - 1], found.rectified[target - 1], stacks[target - 1], wants[1]
        )
        of_stacks.append(of_stack)
    assert of_rectified is not None
    of_x = of_values[0].add_(torch.ops.aten.threshold_backward(of_rectified, found.rectified[0], 0))
    return of_x, torch.cat(of_shares[::-1]) if wants[0] else None, of_stacks[::-1]


def convolution_gradients(
    grads: Sequence[Tensor], rectified: Tensor, stack: Sequence[Tensor], wants_kernels: bool
) -> tuple[Tensor, list[Tensor | None]]:
    """Return the gradient of what kernels are applied to, and those of the kernels."""
    total, of_kernels = None, list[Tensor | None]()
    for grad, kernel in zip(grads, stack, strict=True):
        rim, wanted = kernel.shape[-1] // 2, [True, wants_kernels, False]
        of_input, of_kernel, _ = torch.ops.aten.convolution_backward(
            grad, rectified, kernel, None, [1, 1], [rim, rim], [1, 1], False, [0, 0], 1, wanted
        )
        total = of_input if total is None else total + of_input
        of_kernels.append(of_kernel)
    if total is None:
        return torch.zeros_like(rectified), of_kernels
    return total.contiguous(memory_format=LAST), of_kernels


class _Cell(torch.autograd.Function):
    """A mixed cell and its gradient."""

    @staticmethod
    def forward(ctx: Any, nodes: int, x: Tensor, shares: Tensor, *flat: Tensor) -> Tensor:
        found = forward(x, grouped(flat, nodes), shares)
        ctx.nodes = nodes
        kept = [one for own in found.convolved for one in own]
        values = found.values[1:-1]
        ctx.save_for_backward(x, shares, *flat, *kept, *values, *found.rectified, *found.statistics)
        return found.values[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, shares, *saved = ctx.saved_tensors
        nodes, rest = ctx.nodes, iter(saved)
        kernels = nodes * (shares.shape[1] - 2)
        flat, kept, values, rectified, statistics = (
            [next(rest) for _ in range(count)]
            for count in (kernels, kernels, nodes - 1, nodes, nodes)
        )
        found = Computed([x, *values, x], rectified, grouped(kept, nodes), statistics)
        stacks = grouped(flat, nodes)
        grad = grad.contiguous(memory_format=LAST)
        needed = ctx.needs_input_grad
        wants = (needed[2], any(needed[3:]))
        of_x, of_shares, of_stacks = backward(grad, found, stacks, shares, wants=wants)
        return None, of_x, of_shares, *(one for own in of_stacks for one in own)


def grouped(flat: Sequence[Tensor], nodes: int) -> list[list[Tensor]]:
    """Return the tensors of each node, equally many."""
    each = len(flat) // nodes
    return [list(flat[i * each : (i + 1) * each]) for i in range(nodes)]
