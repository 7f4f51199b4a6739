"""The operations of cells, in plain PyTorch."""

import torch
from torch import Tensor, nn

from stnas.config import Kernels
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
def average(part: Average, *, kernels: Kernels, norm: MakeNorm) -> nn.AvgPool2d:
    """Make the mean over windows of 3x3."""
    return nn.AvgPool2d(3, 1, 1, count_include_pad=False)


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
def halve(part: Halve, *, kernels: Kernels, norm: MakeNorm) -> HalvingBlock:
    """Make the block between two stages."""
    return HalvingBlock(part, norm)


def convolution(
    before: int, after: int, kernel: int, stride: int, norm: MakeNorm
) -> tuple[nn.Module, ...]:
    """Make ReLU, convolution, BN."""
    layer = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
    return nn.ReLU(), layer, norm(after)
