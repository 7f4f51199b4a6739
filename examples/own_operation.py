"""An operation of one's own: a part says what it costs, and a function makes its module.

    stnas run --space.factory examples.own_operation:ghosts --run runs/ghosts --data.path embedded

A ghost block makes half of its channels by a 1x1 convolution and the other half out of these by
a depthwise one (Han et al. 2020, "GhostNet", section 3.1).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

import stnas


@dataclass(frozen=True)
class Ghost:
    """The part: channels, kernel of the depthwise convolution, pixels a side."""

    in_channels: int
    out_channels: int
    kernel: int
    size: int
    stride: int = 1

    def layers(self, option: int = 0) -> dict[str, stnas.Layer]:
        """Count the two convolutions and their BN."""
        half = self.out_channels // 2
        first, second = self.in_channels * half, half * self.kernel**2
        return {
            "primary": stnas.Layer(first * self.size**2, first + 2 * half),
            "cheap": stnas.Layer(second * self.size**2, second + 2 * half),
        }


class GhostBlock(nn.Module):
    """The module of a ghost part."""

    def __init__(self, part: Ghost, norm: stnas.MakeNorm) -> None:
        super().__init__()
        half, kernel = part.out_channels // 2, part.kernel
        self.primary = nn.Sequential(
            nn.Conv2d(part.in_channels, half, 1, bias=False), norm(half), nn.ReLU()
        )
        self.cheap = nn.Sequential(
            nn.Conv2d(half, half, kernel, padding=kernel // 2, groups=half, bias=False), norm(half)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[N, C_in, H, W]`` to ``[N, C_out, H, W]``."""
        first = self.primary(x)
        return torch.cat([first, self.cheap(first)], 1).relu()


@stnas.build.register
def ghost(part: Ghost, *, kernels: stnas.Kernels, norm: stnas.MakeNorm) -> GhostBlock:
    """Make the block of a ghost part."""
    return GhostBlock(part, norm)


def ghosts(image_size: int, in_channels: int, num_classes: int) -> stnas.SearchSpace:
    """Build a chain of ghost blocks of three kernels, any of which may be left out."""
    builder, width, size = stnas.SpaceBuilder("ghosts"), 16, -(-image_size // 2)
    node = builder.stem(width, size, stride=2)
    for i in range(4):
        kernels = {f"k{k}": Ghost(width, width, k, size) for k in (1, 3, 5)}
        node = builder.choose(node, f"ghost{i}", {**kernels, "skip": None})
    return builder.build(tail=32, classes=num_classes, channels=in_channels)
