"""The resolved description of a search space, and its JSON form."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from stnas.config.space import Activation, Merge, Residual, SpaceConfig

VERSION = 1
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
        own = ("image_size", "in_channels", "num_classes")
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                raise TypeError(f"space.{field.name} must be set, got None: give its value")
            if field.name in own:
                _check_size(field.name, value)
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        SpaceConfig(**{name: value for name, value in values.items() if name not in own})
        if len(self.stages) != len(self.widths):
            raise ValueError(
                "space.widths must have one entry per stage, got"
                f" {len(self.widths)} widths for {len(self.stages)} stages: give"
                f" {len(self.stages)} widths"
            )
        if not 2 <= sum(self.stages) <= MAX_NODES:
            raise ValueError(
                f"space.stages must hold 2 to {MAX_NODES} nodes, got {sum(self.stages)}: change"
                " the nodes of a stage"
            )

    def to_json(self) -> dict[str, Any]:
        """Return the versioned JSON object of this description."""
        named = asdict(self)
        lists = {k: list(v) if isinstance(v, tuple) else v for k, v in named.items()}
        return {"version": VERSION, **lists}

    @classmethod
    def from_json(cls, value: Any) -> "SpaceSpec":
        """Read what ``to_json`` wrote; every key must be there and no other."""
        if not isinstance(value, dict):
            raise TypeError(
                f"space must be a JSON object, got {type(value).__name__}: pass what to_json wrote"
            )
        if value.get("version") != VERSION or isinstance(value.get("version"), bool):
            raise ValueError(
                f"space.version must be {VERSION}, got {value.get('version')!r}: read this file"
                " with the release that wrote it"
            )
        known = {field.name for field in fields(cls)}
        given = set(value) - {"version"}
        if known != given:
            raise ValueError(
                f"space must have the keys {sorted(known)}, got {sorted(given - known)} too many"
                f" and {sorted(known - given)} missing: pass what to_json wrote"
            )
        named: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in value.items()
        }
        del named["version"]
        return cls(**named)

    @property
    def fingerprint(self) -> str:
        """Hash what fixes the meaning of the genes into 8 hexadecimal digits.

        Image size, input channels, classes and dropout are left out: a genotype moves between data
        sets.
        """
        named = self.to_json()
        for name in ("image_size", "in_channels", "num_classes", "dropout"):
            del named[name]
        named["se_ratio"] = float(self.se_ratio)
        text = json.dumps(named, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _check_size(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"space.{name} must be an integer, got {value!r}: write a whole number")
    if value < 1:
        raise ValueError(f"space.{name} must be at least 1, got {value}: use 1 or more")
