"""The choice blocks of SPOS: one branch works, and the other half of the result passes by.

Source: Guo et al. 2020 ("Single Path One-Shot Neural Architecture Search with Uniform Sampling"),
and the authors' code. BN stands behind every convolution, ReLU behind every BN but those of the
depthwise ones.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from stnas.space.part import Layer


class Pass(NamedTuple):
    """One convolution of a branch, with its BN.

    kernel: 1, or the side of a depthwise one. before, after: channels, equal for depthwise ones.
    """

    name: str
    kernel: int
    before: int
    after: int
    stride: int = 1

    @property
    def depthwise(self) -> bool:
        """Tell whether every channel is convolved by itself."""
        return self.kernel > 1

    def layer(self, size: int) -> Layer:
        """Count it for a result of ``size`` pixels a side."""
        weights = self.kernel**2 * self.after if self.depthwise else self.before * self.after
        return Layer(weights * size**2, weights + 2 * self.after)


@dataclass(frozen=True)
class ChoiceBlock:
    """One kind of block, from maps of ``in_size`` pixels a side to such of ``out_size``.

    With stride 1 the even channels pass by and the odd ones are worked on; otherwise both branches
    read all of them and the first halves the pixels, too. mid: channels inside the working branch.
    mids: those of each form where there are several, rising, the last of which is mid; a form uses
    the leading slices of the weights.
    """

    in_channels: int
    out_channels: int
    stride: int
    in_size: int
    out_size: int
    mid: int
    mids: tuple[int, ...] = ()

    def form(self, option: int) -> Self:
        """Return the block of one form, with weights of that form's sizes."""
        return replace(self, mid=self.mids[option], mids=()) if self.mids else self

    @property
    def splits(self) -> bool:
        """Tell whether half of the channels pass by."""
        return self.stride == 1

    @property
    def worked(self) -> int:
        """Return the channels that the working branch reads."""
        return self.in_channels // 2 if self.splits else self.in_channels

    @property
    def made(self) -> int:
        """Return the channels that the working branch gives; the others come first."""
        return self.out_channels - (self.in_channels // 2 if self.splits else self.in_channels)

    @property
    def window(self) -> int:
        """Return the side of the projection's depthwise convolution."""
        raise NotImplementedError

    @property
    def main(self) -> tuple[Pass, ...]:
        """List the convolutions of the working branch."""
        raise NotImplementedError

    @property
    def projection(self) -> tuple[Pass, ...]:
        """List the convolutions of the other branch; none where half of the channels pass by."""
        if self.splits:
            return ()
        width = self.in_channels
        return (
            Pass("project_depthwise", self.window, width, width, self.stride),
            Pass("project", 1, width, width),
        )

    def layers(self, option: int = 0) -> dict[str, Layer]:
        """Count each convolution of a form with its affine BN."""
        own_form, found = self.form(option), {}
        for branch in (own_form.projection, own_form.main):
            size = self.in_size
            for own in branch:
                size = self.out_size if own.stride > 1 else size
                found[own.name] = own.layer(size)
        return found


@dataclass(frozen=True)
class Shuffle(ChoiceBlock):
    """1x1, depthwise ``kernel``, 1x1: ShuffleNetV2's unit."""

    kernel: int = 3

    @property
    def window(self) -> int:
        """Return the kernel."""
        return self.kernel

    @property
    def main(self) -> tuple[Pass, ...]:
        """List the convolutions of the working branch."""
        return (
            Pass("expand", 1, self.worked, self.mid),
            Pass("depthwise", self.kernel, self.mid, self.mid, self.stride),
            Pass("end", 1, self.mid, self.made),
        )


@dataclass(frozen=True)
class Xception(ChoiceBlock):
    """Depthwise 3x3 and 1x1, three times."""

    @property
    def window(self) -> int:
        """Return 3."""
        return 3

    @property
    def main(self) -> tuple[Pass, ...]:
        """List the convolutions of the working branch."""
        return (
            Pass("depthwise1", 3, self.worked, self.worked, self.stride),
            Pass("pointwise1", 1, self.worked, self.mid),
            Pass("depthwise2", 3, self.mid, self.mid),
            Pass("pointwise2", 1, self.mid, self.mid),
            Pass("depthwise3", 3, self.mid, self.mid),
            Pass("end", 1, self.mid, self.made),
        )
