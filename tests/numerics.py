"""Values that the operators are tested on, and how near their results must come to exact ones."""

import torch
from torch import Tensor

from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.ops.layers.reference import BatchNorm
from stnas.ops.shuffle.reference import ShuffleWeights

Norms = tuple[BatchNorm, BatchNorm, BatchNorm]

TOLERANCE = {
    "block": {torch.float64: 1e-12, torch.float32: 1e-4},
    "convolution": {torch.float64: 1e-14, torch.float32: 3e-6},
    "inference": {torch.float64: 1e-14, torch.float32: 1e-6},
    "norm_act": {torch.float64: 1e-11, torch.float32: 1e-4},
    "path": {torch.float64: 1e-11, torch.float32: 1e-3},
    "separable": {torch.float64: 1e-13, torch.float32: 1e-5},
    "on emulated GPUs": {torch.float64: 1e-12, torch.float32: 2e-6},
}
"""Bounds of ``error``, some five times what was measured at most, by operator and dtype."""


def error(found: Tensor, exact: Tensor) -> float:
    """Return the norm of the error over that of the exact value, and a tenth of a value's."""
    exact = exact.double()
    gap = (found.double().cpu() - exact).norm()
    return (gap / (exact.norm() + 0.1 * exact.numel() ** 0.5)).item()


def block(
    size: tuple[int, ...], kernel: int, *, dtype: torch.dtype, affine: bool = False, seed: int = 0
) -> tuple[Tensor, BottleneckWeights, Norms]:
    """Draw an input, weights and norms with running statistics; float32 ones beside bfloat16."""
    images, c_in, c_out, expand, height, width = size
    generator = torch.Generator().manual_seed(seed)
    wide = torch.float32 if dtype == torch.bfloat16 else dtype

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(wide)

    hidden, squeeze = c_in * expand, max(1, c_in // 4)
    weights = BottleneckWeights(
        draw(hidden, c_in, 1, 1) / c_in**0.5,
        draw(hidden, 1, kernel, kernel) / kernel,
        draw(squeeze, hidden) / hidden**0.5,
        draw(squeeze),
        draw(hidden, squeeze),
        draw(hidden),
        draw(c_out, hidden, 1, 1) / hidden**0.5,
    )
    first, second, third = (
        BatchNorm(
            *((1 + 0.3 * draw(c), 0.3 * draw(c)) if affine else (None, None)),
            0.1 * draw(c),
            1 + 0.1 * draw(c).abs(),
        )
        for c in (hidden, hidden, c_out)
    )
    return draw(images, c_in, height, width).to(dtype), weights, (first, second, third)


def shuffle(
    size: tuple[int, ...], kernel: int, *, affine: bool, mid: int | None = None, seed: int = 0
) -> tuple[Tensor, ShuffleWeights, list[BatchNorm]]:
    """Draw a shuffle block of ``(images, in, out, stride, height, width)`` in float64.

    kernel: of the depthwise convolution; 0 for the three of ``xception``. Stride 2 has two heads.
    """
    images, c_in, c_out, stride, height, width = size
    generator = torch.Generator().manual_seed(seed)
    mid = mid or c_out // 2

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    def pointwise(before: int, after: int) -> Tensor:
        return draw(after, before, 1, 1) / before**0.5

    def depthwise(channels: int) -> Tensor:
        return draw(channels, 1, kernel or 3, kernel or 3) / (kernel or 3)

    read, end = (c_in // 2, c_out - c_in // 2) if stride == 1 else (c_in, c_out - c_in)
    main: tuple[Tensor, ...] = (pointwise(read, mid), depthwise(mid), pointwise(mid, end))
    if kernel == 0:
        first = (depthwise(read), pointwise(read, mid))
        main = (*first, depthwise(mid), pointwise(mid, mid), *main[1:])
    project = () if stride == 1 else (depthwise(c_in), pointwise(c_in, c_in))
    norms = [
        BatchNorm(
            *((1 + 0.3 * draw(c), 0.3 * draw(c)) if affine else (None, None)),
            0.1 * draw(c),
            1 + 0.1 * draw(c).abs(),
        )
        for c in map(len, (*main, *project))
    ]
    return draw(images, c_in, height, width), ShuffleWeights(main, project), norms
