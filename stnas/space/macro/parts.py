"""The candidates of a block: an inverted residual, or a projection where shapes differ."""

from dataclasses import dataclass
from typing import ClassVar

from stnas.config.space import Activation
from stnas.space.part import Layer


@dataclass(frozen=True)
class InvertedResidual:
    """1x1 to ``expand * in_channels``, depthwise ``kernel``, 1x1; BN behind each, no SE.

    ReLU behind the first two. The input is added where shapes agree. in_size, out_size: pixels a
    side of input and result.
    """

    in_channels: int
    out_channels: int
    kernel: int
    expand: int
    stride: int
    in_size: int
    out_size: int
    squeeze: ClassVar[int] = 0
    activation: ClassVar[Activation] = "relu"

    @property
    def hidden(self) -> int:
        """Return the channels of the depthwise convolution."""
        return self.expand * self.in_channels

    @property
    def residual(self) -> bool:
        """Tell whether the input is added."""
        return self.stride == 1 and self.in_channels == self.out_channels

    def layers(self, option: int = 0) -> dict[str, Layer]:
        """Count each layer with its BN."""
        hidden, before, after = self.hidden, self.in_size**2, self.out_size**2
        expand, taps = self.in_channels * hidden, hidden * self.kernel**2
        project = hidden * self.out_channels
        return {
            "expand": Layer(expand * before, expand + 2 * hidden),
            "depthwise": Layer(taps * after, taps + 2 * hidden),
            "project": Layer(project * after, project + 2 * self.out_channels),
        }


@dataclass(frozen=True)
class Projection:
    """1x1 convolution and BN, what "identity" means where stride or channels change."""

    in_channels: int
    out_channels: int
    stride: int
    out_size: int

    def layers(self, option: int = 0) -> dict[str, Layer]:
        """Count the convolution with its BN."""
        weights = self.in_channels * self.out_channels
        return {"convolution": Layer(weights * self.out_size**2, weights + 2 * self.out_channels)}
