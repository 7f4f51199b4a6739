"""The blocks of hand-made networks, in plain PyTorch."""

import torch
from torch import Tensor, nn

from stnas.config import Kernels
from stnas.space.hand_made import Separable, ShuffleUnit
from stnas.supernet.blocks.block import MakeNorm, build


@build.register
def separable(part: Separable, *, kernels: Kernels, norm: MakeNorm) -> nn.Sequential:
    """Make depthwise, BN, ReLU, 1x1, BN, ReLU."""
    return nn.Sequential(
        depthwise(part.in_channels, part.stride),
        norm(part.in_channels),
        nn.ReLU(),
        *pointwise(part.in_channels, part.out_channels, norm),
    )


class ShuffleBlock(nn.Module):
    """Two branches whose channels alternate in the result; half of the input may pass by."""

    def __init__(self, part: ShuffleUnit, norm: MakeNorm) -> None:
        super().__init__()
        seen, half = part.branch
        self.long = nn.Sequential(
            *pointwise(seen, half, norm),
            depthwise(half, part.stride),
            norm(half),
            *pointwise(half, half, norm),
        )
        self.short = None
        if not part.passes:
            self.short = nn.Sequential(
                depthwise(seen, part.stride), norm(seen), *pointwise(seen, half, norm)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C_in, H, W]`` to ``[N, C_out, ceil(H / stride), ceil(W / stride)]``."""
        if self.short is None:
            short, seen = x.chunk(2, 1)
        else:
            short, seen = self.short(x), x
        pair = torch.stack((short, self.long(seen)), 2)
        return pair.flatten(1, 2).contiguous(memory_format=torch.channels_last)


@build.register
def shuffle_unit(part: ShuffleUnit, *, kernels: Kernels, norm: MakeNorm) -> ShuffleBlock:
    """Make the unit of ShuffleNetV2."""
    return ShuffleBlock(part, norm)


def depthwise(channels: int, stride: int) -> nn.Conv2d:
    """Make a depthwise convolution of 3x3."""
    return nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)


def pointwise(before: int, after: int, norm: MakeNorm) -> tuple[nn.Module, ...]:
    """Make 1x1, BN, ReLU."""
    return nn.Conv2d(before, after, 1, bias=False), norm(after), nn.ReLU()
