"""A residual basic block at several pairs of bits, and what its arithmetic costs."""

from dataclasses import dataclass, replace
from typing import Self

from stnas.space.part import Layer

Bits = tuple[int, int]
"""Bits of the weights and of the activations."""


@dataclass(frozen=True)
class QuantBlock:
    """Two 3x3 convolutions with BN, the input added, ReLU (He et al. 2016); a form has bits.

    Where stride or channels change the input is brought along by a 1x1 convolution with BN. All of
    its convolutions have the bits of the form and share one set of weights over the forms.
    """

    in_channels: int
    out_channels: int
    stride: int
    out_size: int
    bits: tuple[Bits, ...]

    def form(self, option: int) -> Self:
        """Return the block of one form."""
        return replace(self, bits=(self.bits[option],))

    @property
    def projects(self) -> bool:
        """Tell whether a convolution brings the input along."""
        return self.stride > 1 or self.in_channels != self.out_channels

    def layers(self, option: int = 0) -> dict[str, Layer]:
        """Count each convolution with its BN; the bounds of the activations are not counted."""
        sizes = {"conv1": 9 * self.in_channels, "conv2": 9 * self.out_channels}
        if self.projects:
            sizes["shortcut"] = self.in_channels
        pixels, width = self.out_size**2, self.out_channels
        return {
            name: Layer(each * width * pixels, each * width + 2 * width)
            for name, each in sizes.items()
        }
