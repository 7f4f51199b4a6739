"""The resolved description of a topology augmented search space."""

from dataclasses import dataclass, fields
from typing import Any

from stnas.config.space import Activation, Merge, Residual, SpaceConfig
from stnas.space import recipe

MAX_NODES = 1000


@dataclass(frozen=True)
class SpaceSpec:
    """Fix everything that the networks of a search space share.

    stages: nodes per stage. widths: channels per stage. image_size in pixels (square input).
    Raises ValueError or TypeError that names the key and the repair.
    """

    stages: tuple[int, ...]
    widths: tuple[int, ...]
    tail_width: int
    kernels: tuple[int, ...] = (3, 5, 7)
    expands: tuple[int, ...] = (1, 3, 6)
    branch_distances: tuple[int, ...] = (2, 3)
    stem_stride: int = 1
    activation: Activation = "relu6"
    residual: Residual = "stem"
    merge: Merge = "sum"
    se_ratio: float = 0.25
    dropout: float = 0.2
    image_size: int = 32
    in_channels: int = 3
    num_classes: int = 10

    def __post_init__(self) -> None:
        """Check the fields by themselves (as SpaceConfig does) and with each other."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                raise TypeError(f"space.{field.name} must be set, got None: give its value")
            if field.name in recipe.IMAGES:
                recipe.check_size(field.name, value)
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        SpaceConfig(**{name: value for name, value in values.items() if name not in recipe.IMAGES})
        recipe.check_widths(self.stages, self.widths)
        if not 2 <= sum(self.stages) <= MAX_NODES:
            raise ValueError(
                f"space.stages must hold 2 to {MAX_NODES} nodes, got {sum(self.stages)}: change"
                " the nodes of a stage"
            )

    def to_json(self) -> dict[str, Any]:
        """Return the versioned JSON object of this description."""
        return recipe.to_json(self)

    @classmethod
    def from_json(cls, value: Any) -> "SpaceSpec":
        """Read what ``to_json`` wrote; every key must be there and no other."""
        return recipe.from_json(cls, value)

    @property
    def fingerprint(self) -> str:
        """Hash what fixes the meaning of the genes into 8 hexadecimal digits.

        Image size, input channels, classes and dropout are left out: a genotype moves between data
        sets.
        """
        named = {**self.to_json(), "se_ratio": float(self.se_ratio)}
        return recipe.fingerprint(named, without=(*recipe.IMAGES, "dropout"))
