"""The SE linear bottleneck, the candidate operation of the topology augmented space."""

from dataclasses import dataclass

from stnas.config.space import Activation
from stnas.space.part import Layer


@dataclass(frozen=True)
class Bottleneck:
    """1x1 to ``expand * in_channels``, depthwise ``kernel``, SE to ``squeeze`` and back, 1x1.

    in_size, out_size: pixels a side of input and result. residual: the input is added.
    """

    in_channels: int
    out_channels: int
    kernel: int
    expand: int
    stride: int
    in_size: int
    out_size: int
    squeeze: int
    activation: Activation = "relu6"
    residual: bool = False

    @property
    def hidden(self) -> int:
        """Return M = expand * C_in, the channels of the depthwise convolution."""
        return self.expand * self.in_channels

    @property
    def signature(self) -> tuple[int, ...]:
        """Return what tells it from the other bottlenecks of its space."""
        return (1, self.kernel, self.expand, self.in_channels, self.out_channels, self.stride)

    def layers(self, option: int = 0) -> dict[str, Layer]:
        """Count each layer: ``C_in M h_in^2``, ``M K^2 h_out^2``, ``M R`` twice and
        ``M C_out h_out^2`` multiply-adds; weights, SE biases and affine BN.
        """
        hidden, squeeze = self.hidden, self.squeeze
        before, after = self.in_size**2, self.out_size**2
        weights = {
            "expand": self.in_channels * hidden,
            "depthwise": hidden * self.kernel**2,
            "squeeze": hidden * squeeze,
            "excite": squeeze * hidden,
            "project": hidden * self.out_channels,
        }
        pixels = {"expand": before, "depthwise": after, "project": after}
        beside = {
            "expand": 2 * hidden,
            "depthwise": 2 * hidden,
            "squeeze": squeeze,
            "excite": hidden,
            "project": 2 * self.out_channels,
        }
        return {
            name: Layer(count * pixels.get(name, 1), count + beside[name])
            for name, count in weights.items()
        }
