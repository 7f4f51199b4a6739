"""A search space of one's own: a chain of plain convolutions that grow narrower in the middle.

    stnas run --space.factory examples.own_space:chain --run runs/chain --data.path embedded

The command finds this file from the folder that it is started in, as ``python -m`` would.
"""

from dataclasses import dataclass

from torch import nn

import stnas


@dataclass(frozen=True)
class Conv:
    """A convolution with BN and ReLU: channels, kernel, pixels a side of its input, stride."""

    in_channels: int
    out_channels: int
    kernel: int
    size: int
    stride: int = 1

    def layers(self, option: int = 0) -> dict[str, stnas.Layer]:
        """Count the convolution and its BN."""
        weights = self.kernel**2 * self.in_channels * self.out_channels
        pixels = (-(-self.size // self.stride)) ** 2
        return {"conv": stnas.Layer(weights * pixels, weights + 2 * self.out_channels)}


@stnas.build.register
def block(part: Conv, *, kernels: stnas.Kernels, norm: stnas.MakeNorm) -> nn.Sequential:
    """Make the block of a convolution."""
    shape = (part.in_channels, part.out_channels, part.kernel, part.stride, part.kernel // 2)
    return nn.Sequential(nn.Conv2d(*shape, bias=False), norm(part.out_channels), nn.ReLU())


def chain(image_size: int, in_channels: int, num_classes: int) -> stnas.SearchSpace:
    """Build the space for the images that a run has."""
    builder = stnas.SpaceBuilder("chain")
    node = builder.stem(8, -(-image_size // 2), stride=2)
    for i, (width, stride) in enumerate([(8, 1), (16, 2), (16, 1), (24, 2)]):
        before, size = builder.width(node), builder.size(node)
        choices = {f"k{k}": Conv(before, width, k, size, stride) for k in (1, 3, 5)}
        skip = {"skip": None} if stride == 1 and before == width else {}
        node = builder.choose(node, f"b{i}", choices | skip)
    return builder.build(tail=32, classes=num_classes, channels=in_channels)
