"""The plain-PyTorch twin of a mixed cell: its oracle, and what takes over without kernels."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from stnas.ops.layers.reference import EPS, BatchNorm, batch_norm
from stnas.ops.separable.reference import embedded, normalised

Stacks = Sequence[Sequence[Tensor]]
"""Of each node but the last, the kernels of the edges that leave it, by size."""


def mixed_cell(x: Tensor, stacks: Stacks, shares: Tensor) -> Tensor:
    """Compute the last node of a cell each of whose nodes reads all nodes before it.

    ``v_j = sum_{i < j} s_ij0 v_i + s_ij1 mean3x3(v_i) + sum_k s_ij(2+k) BN(K_ijk * relu(v_i))``:
    the mean is over the pixels that are there, BN has the statistics of the batch and neither scale
    nor shift. x: the first node ``[N, C, H, W]``. stacks: for each node but the last, equally many,
    the kernels of the edges that leave it in the order of their targets, one upon the other
    ``[edges C, C, size, size]``; sizes are odd. shares: s ``[edges, 2 + kernels]``, edges in the
    order of their targets, then of their sources.
    """
    values, leaving = [x], list[list[tuple[Tensor, ...]]]()
    first = 0
    for target, stack in enumerate(stacks, start=1):
        leaving.append(convolved(values[-1].relu(), stack))
        total = None
        for source, share in enumerate(shares[first : first + target].unbind()):
            own = [parts[target - 1 - source] for parts in leaving[source]]
            value = mixed_edge(values[source], own, share)
            total = value if total is None else total + value
        assert total is not None
        values.append(total)
        first += target
    return values[-1]


def convolved(rectified: Tensor, stack: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
    """Apply stacked kernels to ``[N, C, H, W]``, and take the edges' results apart."""
    width = rectified.shape[1]
    values = (functional.conv2d(rectified, own, None, 1, own.shape[-1] // 2) for own in stack)
    return [torch.split(value, width, 1) for value in values]


def mixed_edge(x: Tensor, branches: Sequence[Tensor], share: Tensor) -> Tensor:
    """Return ``s_0 x + s_1 mean3x3(x) + sum_k s_(2+k) BN(z_k)``."""
    total = share[0] * x
    total = total + share[1] * functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    for number, z in enumerate(branches):
        own = functional.batch_norm(z, None, None, training=True, eps=EPS)
        total = total + share[2 + number] * own
    return total


def merged_kernels(
    kernels: Sequence[Sequence[Tensor]], shares: Tensor, *, size: int, normalise: bool
) -> Tensor:
    """Merge kernels of several sizes to one for each edge: ``sum_m s_em K_em / (|K_em| + 1e-6)``.

    kernels: of each edge its members', ``[C, D, k, k]`` of odd sizes k, which differ by the member
    alone. shares: s ``[edges, members]``. normalise: divide by the norms of the output channels,
    else not. The result has the edges one upon the other ``[edges C, D, size, size]``.
    """
    found = []
    for own, row in zip(kernels, shares.unbind(), strict=True):
        units = (normalised(kernel) if normalise else kernel for kernel in own)
        parts = [embedded(s * unit, size) for s, unit in zip(row.unbind(), units, strict=True)]
        found.append(torch.stack(parts).sum(0))
    return torch.cat(found)


def halving_block(x: Tensor, first: Tensor, second: Tensor, shortcut: Tensor) -> Tensor:
    """Halve the pixels: ``BN(second * relu(BN(first * relu(x)))) + shortcut mean2x2(x)``.

    x: ``[N, C, H, W]``. first: 3x3 with stride 2 ``[D, C, 3, 3]``; second: ``[D, D, 3, 3]``, both
    padded by 1; shortcut: ``[D, C, 1, 1]``. The mean is over the pixels that are there, BN has the
    statistics of the batch and neither scale nor shift. The result has
    ``[N, D, ceil(H / 2), ceil(W / 2)]``.
    """
    own = x
    for kernel, stride in ((first, 2), (second, 1)):
        own = functional.conv2d(own.relu(), kernel, None, stride, 1)
        own = functional.batch_norm(own, None, None, training=True, eps=EPS)
    return own + functional.conv2d(functional.avg_pool2d(x, 2, 2, ceil_mode=True), shortcut)


def pooled_norms(x: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Return ``BN(max3x3(x))`` and ``BN(mean3x3(x))`` of ``[N, C, H, W]``.

    Padded by 1, the mean over the pixels that are there; BN with the statistics of the batch.
    """
    pools = (
        functional.max_pool2d(x, 3, stride, 1),
        functional.avg_pool2d(x, 3, stride, 1, count_include_pad=False),
    )
    largest, mean = (batch_norm(own, BatchNorm(), training=True, momentum=0.0) for own in pools)
    return largest, mean
