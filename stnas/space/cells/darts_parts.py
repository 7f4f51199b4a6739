"""The operations of DARTS's cells (Liu et al. 2019 and the authors' code)."""

from dataclasses import dataclass
from typing import Literal

from stnas.space.cells.even import Even
from stnas.space.part import Layer


@dataclass(frozen=True)
class Operation(Even):
    """An operation of ``size`` pixels a side in the result."""

    stride: int
    size: int


@dataclass(frozen=True)
class Pool(Operation):
    """The maximum or the mean over windows of 3x3; padding does not count.

    BN follows it in the hyper-network alone.
    """

    kind: Literal["maximum", "average"] = "maximum"

    def layers(self, option: int = 0) -> dict[str, Layer]:
        """Count nothing."""
        return {}


@dataclass(frozen=True)
class Separable(Operation):
    """ReLU, depthwise ``kernel``, 1x1, BN; ``times`` 2: once more at stride 1.

    dilation: of the depthwise convolution.
    """

    kernel: int = 3
    times: int = 2
    dilation: int = 1

    def layers(self, option: int = 0) -> dict[str, Layer]:
        """Count each depthwise convolution, and each 1x1 with its BN."""
        pixels, width = self.size**2, self.channels
        depth, point = self.kernel**2 * width, width * width
        found = {}
        for number in range(1, self.times + 1):
            found[f"depthwise{number}"] = Layer(depth * pixels, depth)
            found[f"pointwise{number}"] = Layer(point * pixels, point + 2 * width)
        return found


@dataclass(frozen=True)
class Halved:
    """ReLU, two 1x1 convolutions of stride 2, the second one pixel on, side by side, BN.

    size: pixels a side of the result, ``ceil(before / 2)``.
    """

    in_channels: int
    out_channels: int
    size: int

    @property
    def stride(self) -> int:
        """Return 2."""
        return 2

    def layers(self, option: int = 0) -> dict[str, Layer]:
        """Count both convolutions as one, with BN."""
        weights = self.in_channels * self.out_channels
        return {"halved": Layer(weights * self.size**2, weights + 2 * self.out_channels)}


@dataclass(frozen=True)
class Fitted:
    """ReLU, 1x1 convolution, BN: what a cell's input passes."""

    in_channels: int
    out_channels: int
    size: int

    @property
    def stride(self) -> int:
        """Return 1."""
        return 1

    def layers(self, option: int = 0) -> dict[str, Layer]:
        """Count the convolution with its BN."""
        weights = self.in_channels * self.out_channels
        return {"fitted": Layer(weights * self.size**2, weights + 2 * self.out_channels)}
