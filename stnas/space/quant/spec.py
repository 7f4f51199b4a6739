"""The resolved description of a space of bits, and the named ones."""

from dataclasses import dataclass, fields
from typing import Any

from stnas.config.bits import check_pairs, read_pair
from stnas.space import recipe
from stnas.space.quant.parts import Bits


@dataclass(frozen=True)
class Spec:
    """A ResNet of basic blocks: each of ``stages`` behind the first begins with stride 2.

    bits: pairs that every block chooses from: ``w2a4`` has weights of 2 bits and activations of
    4. stem_kernel: side of the first convolution; stem_pool: whether 3x3 max pooling with stride
    2 follows. First convolution and classifier stay float. Raises ValueError or TypeError that
    names the key and the repair.
    """

    stages: tuple[int, ...]
    widths: tuple[int, ...]
    bits: tuple[str, ...] = ("w1a2", "w2a2", "w1a4", "w2a4", "w3a4", "w4a4")
    stem_kernel: int = 3
    stem_stride: int = 1
    stem_pool: bool = False
    dropout: float = 0.0
    image_size: int = 32
    in_channels: int = 3
    num_classes: int = 10

    def __post_init__(self) -> None:
        """Check the fields by themselves and with each other."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in ("bits", "stem_pool", "dropout"):
                for item in value if isinstance(value, tuple) else (value,):
                    recipe.check_size(field.name, item)
        recipe.check_dropout(self.dropout)
        recipe.check_widths(self.stages, self.widths, least=1)
        check_pairs(self.bits)
        least = self.stem_stride * (2 if self.stem_pool else 1) * 2 ** (len(self.stages) - 1) + 1
        if self.image_size < least:
            raise ValueError(
                f"space.image_size must be at least {least} with {len(self.stages)} stages that"
                f" halve it, got {self.image_size}: give larger images, fewer space.stages or a"
                " profile for smaller ones"
            )

    @property
    def pairs(self) -> tuple[Bits, ...]:
        """Return the bits of weights and activations of each choice."""
        return tuple(map(read_pair, self.bits))

    def to_json(self) -> dict[str, Any]:
        """Return the versioned JSON object of this description."""
        return {"family": "quant", **recipe.to_json(self)}

    @classmethod
    def from_json(cls, value: Any) -> "Spec":
        """Read what ``recipe.to_json`` wrote; every key must be there and no other."""
        return recipe.from_json(cls, value)

    @property
    def fingerprint(self) -> str:
        """Hash what fixes the meaning of the genes into 8 hexadecimal digits."""
        return recipe.fingerprint(self.to_json(), without=(*recipe.IMAGES, "dropout"))


IMAGENET: dict[str, Any] = {
    "widths": (64, 128, 256, 512),
    "stem_kernel": 7,
    "stem_stride": 2,
    "stem_pool": True,
    "image_size": 224,
    "num_classes": 1000,
}
PROFILES = {
    "resnet18": Spec((2, 2, 2, 2), **IMAGENET),
    "resnet34": Spec((3, 4, 6, 3), **IMAGENET),
    "resnet20": Spec((3, 3, 3), (16, 32, 64)),
    "resnet14": Spec((2, 2, 2), (8, 16, 32), image_size=28, in_channels=1),
}
"""The paper's two for ImageNet, ResNet-20 for 32x32, and a small one for the embedded images."""
