"""The blocks of NAS-Bench-Macro's chain, in plain PyTorch."""

from torch import nn

from stnas.config import Kernels
from stnas.space.macro import InvertedResidual, Projection
from stnas.supernet.blocks.block import MakeNorm, ResidualBlock, build


@build.register
def inverted_residual(part: InvertedResidual, *, kernels: Kernels, norm: MakeNorm) -> nn.Sequential:
    """Make 1x1, BN, ReLU, depthwise, BN, ReLU, 1x1, BN, with the input added where it fits."""
    hidden, kernel = part.hidden, part.kernel
    form = ResidualBlock if part.residual else nn.Sequential
    return form(
        nn.Conv2d(part.in_channels, hidden, 1, bias=False),
        norm(hidden),
        nn.ReLU(),
        nn.Conv2d(hidden, hidden, kernel, part.stride, kernel // 2, groups=hidden, bias=False),
        norm(hidden),
        nn.ReLU(),
        nn.Conv2d(hidden, part.out_channels, 1, bias=False),
        norm(part.out_channels),
    )


@build.register
def projection(part: Projection, *, kernels: Kernels, norm: MakeNorm) -> nn.Sequential:
    """Make 1x1 and BN."""
    return nn.Sequential(
        nn.Conv2d(part.in_channels, part.out_channels, 1, part.stride, bias=False),
        norm(part.out_channels),
    )
