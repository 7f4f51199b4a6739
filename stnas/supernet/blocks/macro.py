"""The projection of NAS-Bench-Macro's chain; its other blocks are linear bottlenecks."""

from torch import nn

from stnas.config import Kernels
from stnas.space.macro import Projection
from stnas.supernet.blocks.block import MakeNorm, build


@build.register
def projection(part: Projection, *, kernels: Kernels, norm: MakeNorm) -> nn.Sequential:
    """Make 1x1 and BN."""
    return nn.Sequential(
        nn.Conv2d(part.in_channels, part.out_channels, 1, part.stride, bias=False),
        norm(part.out_channels),
    )
