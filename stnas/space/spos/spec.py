"""The resolved description of an SPOS space, and the named ones."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

from stnas.space import recipe
from stnas.space.spos.scales import check_scales

MULTIPLE = 4
"""Widths are multiples of it, so that half of a block's channels is an even number, too."""


@dataclass(frozen=True)
class Spec:
    """A chain: each of ``stages`` begins with a block of stride 2, which widens to its width.

    stages: blocks per stage. bias: whether the classifier has one. scales: tenths of the usual
    channels inside a block that every block may choose from, rising; none: the usual ones alone.
    Raises ValueError or TypeError that names the key and the repair.
    """

    stages: tuple[int, ...]
    widths: tuple[int, ...]
    stem_width: int
    tail_width: int
    stem_stride: int = 1
    bias: bool = True
    dropout: float = 0.1
    scales: tuple[int, ...] = ()
    image_size: int = 32
    in_channels: int = 3
    num_classes: int = 10

    def __post_init__(self) -> None:
        """Check the fields by themselves and with each other."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in ("bias", "dropout"):
                for item in value if isinstance(value, tuple) else (value,):
                    recipe.check_size(field.name, item)
        recipe.check_dropout(self.dropout)
        recipe.check_widths(self.stages, self.widths, least=1)
        self._check_widths()
        check_scales(self.scales, self.widths)
        self._check_size()

    def _check_widths(self) -> None:
        """Refuse widths that do not rise: a stage's first block adds what is beyond its input."""
        names = ["space.stem_width", *["space.widths"] * len(self.widths)]
        for name, width in zip(names, (self.stem_width, *self.widths), strict=True):
            if width % MULTIPLE:
                raise ValueError(
                    f"{name} must be of multiples of {MULTIPLE} with space.family spos, got"
                    f" {width}: take {-(-width // MULTIPLE) * MULTIPLE}"
                )
        for before, after in pairwise((self.stem_width, *self.widths)):
            if after <= before:
                raise ValueError(
                    "space.widths must rise from space.stem_width on with space.family spos, got"
                    f" {after} behind {before}: a block that halves the pixels keeps its input and"
                    f" adds channels; take {before + MULTIPLE} or more"
                )

    def _check_size(self) -> None:
        """Refuse images that are one pixel before the last stage halves them."""
        least = self.stem_stride * 2 ** (len(self.stages) - 1) + 1
        if self.image_size < least:
            raise ValueError(
                f"space.image_size must be at least {least} with space.stem_stride"
                f" {self.stem_stride} and {len(self.stages)} stages that halve it, got"
                f" {self.image_size}: give larger images, fewer space.stages or a profile for"
                " smaller ones"
            )

    def to_json(self) -> dict[str, Any]:
        """Return the versioned JSON object of this description; scales only where there are any."""
        found = {"family": "spos", **recipe.to_json(self)}
        if not self.scales:
            del found["scales"]
        return found

    @classmethod
    def from_json(cls, value: Any) -> "Spec":
        """Read what ``to_json`` wrote; every key must be there and no other."""
        whole = {"scales": [], **value} if isinstance(value, Mapping) else value
        return recipe.from_json(cls, whole)

    @property
    def fingerprint(self) -> str:
        """Hash what fixes the meaning of the genes into 8 hexadecimal digits.

        Sizes of images and dropout are left out: a genotype moves between data sets.
        """
        return recipe.fingerprint(self.to_json(), without=(*recipe.IMAGES, "dropout"))


PROFILES = {
    "imagenet": Spec(
        stages=(4, 4, 8, 4),
        widths=(64, 160, 320, 640),
        stem_width=16,
        tail_width=1024,
        stem_stride=2,
        bias=False,
        image_size=224,
        num_classes=1000,
    ),
    "parity": Spec((4, 4, 8, 4), (64, 160, 320, 640), stem_width=16, tail_width=1024),
    "small": Spec((4, 4, 4), (32, 64, 128), stem_width=16, tail_width=256),
    "micro": Spec((3, 3, 3), (24, 48, 96), stem_width=8, tail_width=128),
    "nano": Spec((2, 2, 2), (24, 48, 96), stem_width=12, tail_width=96, stem_stride=2),
}
"""imagenet is the paper's supernet of 4^20 networks; the others take 32x32."""
