"""Descriptions of spaces as JSON: frozen dataclasses, every field by its name."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, TypeVar

VERSION = 1
IMAGES = ("image_size", "in_channels", "num_classes")
"""What a space takes from the images."""
Spec = TypeVar("Spec")


def to_json(spec: Any) -> dict[str, Any]:
    """Return the versioned JSON object of a description."""
    lists = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(spec).items()}
    return {"version": VERSION, **lists}


def from_json(kind: type[Spec], value: Any) -> Spec:
    """Read what ``to_json`` wrote; every key must be there and no other."""
    if not isinstance(value, Mapping):
        raise TypeError(
            f"space must be a JSON object, got {type(value).__name__}: pass what to_json wrote"
        )
    check_version(value)
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    given = set(value) - {"version"}
    if known != given:
        raise ValueError(
            f"space must have the keys {sorted(known)}, got {sorted(given - known)} too many"
            f" and {sorted(known - given)} missing: pass what to_json wrote"
        )
    named: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
    del named["version"]
    return kind(**named)


def check_version(value: Mapping[str, Any]) -> None:
    """Raise unless a recipe is of the version that this release reads."""
    if value.get("version") != VERSION or isinstance(value.get("version"), bool):
        raise ValueError(
            f"space.version must be {VERSION}, got {value.get('version')!r}: read this file"
            " with the release that wrote it"
        )


def fingerprint(named: Mapping[str, Any], *, without: Iterable[str]) -> str:
    """Hash a JSON object into 8 hexadecimal digits, some of its keys left out."""
    kept = {name: value for name, value in named.items() if name not in set(without)}
    text = json.dumps(kept, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def check_widths(stages: Sequence[int], widths: Sequence[int], *, least: int = 0) -> None:
    """Raise unless every stage has a width; least: stages that there must be."""
    if len(stages) != len(widths) or len(stages) < least:
        raise ValueError(
            f"space.widths must have one entry per stage, got {len(widths)} widths for"
            f" {len(stages)} stages: give {len(stages)} widths"
        )


def check_size(name: str, value: object) -> None:
    """Raise unless a field of a description is a whole number of 1 or more."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"space.{name} must be an integer, got {value!r}: write a whole number")
    if value < 1:
        raise ValueError(f"space.{name} must be at least 1, got {value}: use 1 or more")


def check_dropout(value: float) -> None:
    """Raise unless a probability of dropout lies in [0, 1)."""
    if not 0 <= value < 1:
        raise ValueError(f"space.dropout must lie in [0, 1), got {value}: choose a value inside")
