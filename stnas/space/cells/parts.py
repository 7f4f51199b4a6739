"""The operations of cells, and what stands between the cells.

Source: Dong & Yang 2020 (NAS-Bench-201) and its code. Convolutions have no bias; BN follows them.
"""

from dataclasses import dataclass

from stnas.space.part import Layer


@dataclass(frozen=True)
class Zero:
    """Nothing: zeros of the input's shape."""

    in_channels: int

    @property
    def out_channels(self) -> int:
        """Return the channels of the input."""
        return self.in_channels

    @property
    def stride(self) -> int:
        """Return 1."""
        return 1

    def layers(self, option: int = 0) -> dict[str, Layer]:
        """Count nothing."""
        return {}


@dataclass(frozen=True)
class Average(Zero):
    """The mean over windows of 3x3 at stride 1, in which padding does not count; without BN."""


@dataclass(frozen=True)
class Convolve:
    """ReLU, convolution of ``kernel`` at stride 1, BN; ``size`` pixels a side."""

    in_channels: int
    out_channels: int
    kernel: int
    size: int

    @property
    def stride(self) -> int:
        """Return 1."""
        return 1

    def layers(self, option: int = 0) -> dict[str, Layer]:
        """Count the convolution with its BN."""
        weights = self.kernel**2 * self.in_channels * self.out_channels
        return {"convolution": Layer(weights * self.size**2, weights + 2 * self.out_channels)}


@dataclass(frozen=True)
class Halve:
    """The residual block between two stages: half the pixels, ``out_channels``.

    ReLU-3x3 of stride 2-BN, ReLU-3x3-BN, plus the mean over 2x2 and a 1x1 convolution without BN.
    out_size: pixels a side of the result, ``ceil(size / 2)``.
    """

    in_channels: int
    out_channels: int
    out_size: int

    @property
    def stride(self) -> int:
        """Return 2."""
        return 2

    def layers(self, option: int = 0) -> dict[str, Layer]:
        """Count the three convolutions, two of them with BN."""
        before, after, pixels = self.in_channels, self.out_channels, self.out_size**2
        first, second, short = 9 * before * after, 9 * after * after, before * after
        return {
            "first": Layer(first * pixels, first + 2 * after),
            "second": Layer(second * pixels, second + 2 * after),
            "short": Layer(short * pixels, short),
        }
