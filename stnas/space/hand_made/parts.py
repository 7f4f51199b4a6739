"""The blocks of hand-made networks: a separable convolution, and the unit of ShuffleNetV2."""

from dataclasses import dataclass

from stnas.space.part import Layer


def convolution(weights: int, channels: int, size: int) -> Layer:
    """Count a convolution of ``size`` pixels a side, with its BN."""
    return Layer(weights * size**2, weights + 2 * channels)


@dataclass(frozen=True)
class Separable:
    """Depthwise 3x3, BN, ReLU, 1x1, BN, ReLU (MobileNet, Howard et al. 2017, figure 3).

    out_size: pixels a side of the result.
    """

    in_channels: int
    out_channels: int
    stride: int
    out_size: int

    def layers(self, option: int = 0) -> dict[str, Layer]:
        """Count the two convolutions with their BN."""
        before, after, size = self.in_channels, self.out_channels, self.out_size
        return {
            "depthwise": convolution(9 * before, before, size),
            "pointwise": convolution(before * after, after, size),
        }


@dataclass(frozen=True)
class ShuffleUnit:
    """The unit of ShuffleNetV2 (Ma et al. 2018, figure 3 c and d).

    With stride 1 half of the channels passes by; with stride 2 both branches see all of them.
    Where the channels change, as they do with stride 2, it is the second form. in_size, out_size:
    pixels a side of input and result; out_channels is even.
    """

    in_channels: int
    out_channels: int
    stride: int
    in_size: int
    out_size: int

    @property
    def passes(self) -> bool:
        """Tell whether half of the channels passes by."""
        return self.stride == 1 and self.in_channels == self.out_channels

    @property
    def branch(self) -> tuple[int, int]:
        """Return the channels that the long branch sees, and those that it makes."""
        half = self.out_channels // 2
        return (half if self.passes else self.in_channels), half

    def layers(self, option: int = 0) -> dict[str, Layer]:
        """Count the convolutions of both branches with their BN."""
        seen, half = self.branch
        long = {
            "expand": convolution(seen * half, half, self.in_size),
            "depthwise": convolution(9 * half, half, self.out_size),
            "project": convolution(half * half, half, self.out_size),
        }
        if self.passes:
            return long
        return {
            **long,
            "short.depthwise": convolution(9 * seen, seen, self.out_size),
            "short.project": convolution(seen * half, half, self.out_size),
        }
