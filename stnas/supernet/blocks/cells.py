"""The operations of cells, in plain PyTorch."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stnas.config import Kernels
from stnas.space.cells.darts_parts import Fitted, Halved, Pool, Separable
from stnas.space.cells.parts import Average, Convolve, Halve, Zero
from stnas.supernet.blocks.block import MakeNorm, build


class Zeros(nn.Module):
    """Gives zeros of the shape of what it gets."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C, H, W]`` to zeros."""
        return torch.zeros_like(x)


@build.register
def zero(part: Zero, *, kernels: Kernels, norm: MakeNorm) -> Zeros:
    """Make what gives nothing."""
    return Zeros()


@build.register
def average(part: Average, *, kernels: Kernels, norm: MakeNorm) -> nn.Module:
    """Make the mean over windows of 3x3."""
    return windows("average", part.stride)


@build.register
def convolve(part: Convolve, *, kernels: Kernels, norm: MakeNorm) -> nn.Sequential:
    """Make ReLU, convolution, BN."""
    return nn.Sequential(*convolution(part.in_channels, part.out_channels, part.kernel, 1, norm))


class HalvingBlock(nn.Module):
    """Two convolutions, plus a pooled and projected input."""

    def __init__(self, part: Halve, norm: MakeNorm) -> None:
        super().__init__()
        before, after = part.in_channels, part.out_channels
        self.long = nn.Sequential(
            *convolution(before, after, 3, 2, norm), *convolution(after, after, 3, 1, norm)
        )
        self.short = nn.Sequential(
            nn.AvgPool2d(2, 2, ceil_mode=True), nn.Conv2d(before, after, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C, H, W]`` to ``[N, 2C, ceil(H / 2), ceil(W / 2)]``."""
        long: Tensor = self.long(x) + self.short(x)
        return long


@build.register
def pool(part: Pool, *, kernels: Kernels, norm: MakeNorm) -> nn.Module:
    """Make a pool, with BN where BN keeps no statistics: in the hyper-network."""
    layer = windows(part.kind, part.stride)
    behind = norm(part.channels)
    return layer if behind.track_running_stats else nn.Sequential(layer, behind)


def windows(kind: str, stride: int) -> nn.Module:
    """Make the maximum or the mean over windows of 3x3."""
    if kind == "maximum":
        return nn.MaxPool2d(3, stride, 1)
    return nn.AvgPool2d(3, stride, 1, count_include_pad=False)


@build.register
def separable(part: Separable, *, kernels: Kernels, norm: MakeNorm) -> nn.Sequential:
    """Make ReLU, depthwise, 1x1, BN, once or twice."""
    layers: list[nn.Module] = []
    for number in range(part.times):
        width, stride = part.channels, part.stride if number == 0 else 1
        rim = part.dilation * (part.kernel // 2)
        options: dict[str, Any] = {"groups": width, "bias": False}
        depth = nn.Conv2d(width, width, part.kernel, stride, rim, part.dilation, **options)
        layers += [nn.ReLU(), depth, nn.Conv2d(width, width, 1, bias=False), norm(width)]
    return nn.Sequential(*layers)


@build.register
def fitted(part: Fitted, *, kernels: Kernels, norm: MakeNorm) -> nn.Sequential:
    """Make ReLU, 1x1, BN."""
    return nn.Sequential(*convolution(part.in_channels, part.out_channels, 1, 1, norm))


class Halves(nn.Module):
    """Two 1x1 convolutions of stride 2, the second one pixel on, side by side."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after // 2, 1, 2, bias=False)
        self.second = nn.Conv2d(before, after - after // 2, 1, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C, H, W]`` to ``[N, D, ceil(H / 2), ceil(W / 2)]``; odd sides are padded."""
        height, width = x.shape[2:]
        x = functional.pad(x, (0, width % 2, 0, height % 2))
        return torch.cat((self.first(x), self.second(x[:, :, 1:, 1:])), 1)


@build.register
def halved(part: Halved, *, kernels: Kernels, norm: MakeNorm) -> nn.Sequential:
    """Make ReLU, two convolutions side by side, BN."""
    halves = Halves(part.in_channels, part.out_channels)
    return nn.Sequential(nn.ReLU(), halves, norm(part.out_channels))


@build.register
def halve(part: Halve, *, kernels: Kernels, norm: MakeNorm) -> HalvingBlock:
    """Make the block between two stages."""
    return HalvingBlock(part, norm)


def convolution(
    before: int, after: int, kernel: int, stride: int, norm: MakeNorm
) -> tuple[nn.Module, ...]:
    """Make ReLU, convolution, BN."""
    layer = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
    return nn.ReLU(), layer, norm(after)
