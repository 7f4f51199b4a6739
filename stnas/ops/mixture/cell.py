"""A mixed cell: the convolutions of the edges that leave a node, and everything else of a node."""

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
    float64, with its gradient. The plain twin computes the rest: other devices and dtypes,
    autocast, no images. Raises ValueError for wrong shapes.
    """
    check_shapes(x, stacks, shares)
    flat = [kernel.contiguous() for stack in stacks for kernel in stack]
    plain = not has_plain_kernels(x) or autocasts(x)
    if plain or any(own.dtype != x.dtype for own in (shares, *flat)):
        return reference.mixed_cell(x, stacks, shares)
    check_count(x)
    x, shares = x.contiguous(memory_format=LAST), shares.contiguous()
    if torch.is_grad_enabled():
        return _Cell.apply(len(stacks), x, shares, *flat)  # type: ignore
    return forward(x, grouped(flat, len(stacks)), shares).values[-1]


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
    convolved: list[list[Tensor]]
    """Of each node but the last what each kernel gives, for all edges that leave it."""
    statistics: list[list[Tensor]]
    """Mean and biased variance of the channels of these."""


def forward(x: Tensor, stacks: Stacks, shares: Tensor) -> Computed:
    """Go through the nodes in order."""
    found = Computed([x], [], [])
    for target, (stack, rows) in enumerate(zip(stacks, rows_of(shares), strict=True), start=1):
        source = found.values[-1]
        pairs = [OPS.edge_convolutions.default(source, kernel) for kernel in stack]
        found.convolved.append([z for z, _ in pairs])
        found.statistics.append([own for _, own in pairs])
        found.values.append(OPS.mixed_node.default(found.values, *entering(found, target), rows))
    return found


def rows_of(shares: Tensor) -> list[Tensor]:
    """Return the rows of the edges that enter each node but the first: 1, 2, 3, ..."""
    rows, first, count = list[Tensor](), 0, 1
    while first < len(shares):
        rows.append(shares[first : first + count])
        first, count = first + count, count + 1
    return rows


def entering(found: Computed, target: int) -> tuple[list[Tensor], list[Tensor]]:
    """List what the nodes before a target give, source by source, and its statistics."""
    return (
        [one for own in found.convolved[:target] for one in own],
        [one for own in found.statistics[:target] for one in own],
    )


def backward(
    grad: Tensor, found: Computed, stacks: Stacks, shares: Tensor, *, wants: tuple[bool, bool]
) -> tuple[Tensor, Tensor | None, list[list[Tensor | None]]]:
    """Go through the nodes in reverse; return the gradients of x, shares and kernels.

    wants: the gradients of the shares and of the kernels.
    """
    of_values = [*(torch.empty_like(value) for value in found.values[:-1]), grad]
    of_shares, corrections = list[Tensor](), list[Tensor]()
    of_stacks, rows = list[list[Tensor | None]](), rows_of(shares)
    for target in range(len(stacks), 0, -1):
        of_rows, terms = OPS.mixed_node_backward_.default(
            of_values[target],
            found.values[:target],
            *entering(found, target),
            rows[target - 1],
            of_values[:target],
            target < len(stacks),
            wants[0],
        )
        of_shares.append(of_rows)
        corrections.insert(0, terms)
        stack, source = stacks[target - 1], target - 1
        of_kernels = [
            OPS.edge_convolutions_backward_.default(
                of_values[target:],
                [own[source * len(stack) + k] for own in corrections],
                found.values[source],
                found.convolved[source][k],
                kernel,
                of_values[source],
                wants[1],
            )
            for k, kernel in enumerate(stack)
        ]
        of_stacks.append([own if wants[1] else None for own in of_kernels])
    return of_values[0], torch.cat(of_shares[::-1]) if wants[0] else None, of_stacks[::-1]


class _Cell(torch.autograd.Function):
    """A mixed cell and its gradient."""

    @staticmethod
    def forward(ctx: Any, nodes: int, x: Tensor, shares: Tensor, *flat: Tensor) -> Tensor:
        found = forward(x, grouped(flat, nodes), shares)
        ctx.nodes = nodes
        kept, statistics = entering(found, nodes)
        ctx.save_for_backward(x, shares, *flat, *kept, *statistics, *found.values[1:-1])
        return found.values[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, shares, *saved = ctx.saved_tensors
        nodes, count = ctx.nodes, ctx.nodes * (shares.shape[1] - 2)
        stacks, kept, statistics = (
            grouped(saved[first : first + count], nodes) for first in (0, count, 2 * count)
        )
        found = Computed([x, *saved[3 * count :], x], kept, statistics)
        grad = grad.contiguous(memory_format=LAST)
        needed = ctx.needs_input_grad
        wants = (needed[2], any(needed[3:]))
        of_x, of_shares, of_stacks = backward(grad, found, stacks, shares, wants=wants)
        return None, of_x, of_shares, *(one for own in of_stacks for one in own)


def grouped(flat: Sequence[Tensor], nodes: int) -> list[list[Tensor]]:
    """Return the tensors of each node, equally many."""
    each = len(flat) // nodes
    return [list(flat[i * each : (i + 1) * each]) for i in range(nodes)]
