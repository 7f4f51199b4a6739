"""What determines a stage's result: the sections of the configuration, and a mark made of them."""

import dataclasses
import json
from typing import Any

from stnas.config import Config
from stnas.store.checksum import digest
from stnas.store.stages import BY_NAME, sections_of

FREE = ("data.path", "data.workers", "data.broken", "retrain.cuda_graph")
"""Keys that decide nothing but rounding: the images are known by their content."""
ABSENT: dict[str, Any] = {
    "data.background": None,
    "data.orientation": "ignore",
    "search.measure": "accuracy",
    "search.aimed": 0.0,
    "search.random": 0,
    "verdict.candidates": 0,
    "verdict.rounds": 1,
}
"""What it means that a record lacks a key, where that is not the key's default."""


def plain(value: Any) -> Any:
    """Turn a configuration into what YAML and JSON hold: tuples become lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """List the keys whose values differ, as ``key: old, now new``."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted(set(old) | set(new))
        pairs = ((old.get(n), new.get(n), f"{key}.{n}" if key else n) for n in names)
        return [line for pair in pairs for line in differences(*pair)]
    return [] if old == new else [f"{key}: {old!r}, now {new!r}"]


def sections(config: Config, stage: str) -> dict[str, Any]:
    """Return the sections of a settled configuration that determine a stage's result."""
    return {name: plain(getattr(config, name)) for name in sections_of(stage, config)}


def absent() -> dict[str, Any]:
    """Return what it means that a record lacks a key: for most, the key's default."""
    meant: dict[str, Any] = plain(Config())
    for key, value in ABSENT.items():
        section, _, name = key.partition(".")
        if section in meant:
            meant[section][name] = value
    return meant


def completed(found: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return sections with every key, also those that a record was written before."""
    meant = absent()
    whole = {}
    for name in names:
        known, default = found.get(name), meant[name]
        both = isinstance(default, dict) and (known is None or isinstance(known, dict))
        whole[name] = {**default, **(known or {})} if both else found.get(name, default)
    return whole


def without(found: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Return sections without some sections and keys."""
    return {
        name: {key: value for key, value in part.items() if f"{name}.{key}" not in keys}
        if isinstance(part, dict)
        else part
        for name, part in found.items()
        if name not in keys
    }


def reduced(found: dict[str, Any], keys: tuple[str, ...] = FREE) -> dict[str, Any]:
    """Return sections without some keys, and without what means the same where it is absent.

    So an option that did not exist when something was made changes nothing at its default.
    """
    meant = absent()
    kept = {}
    for name, part in without(completed(found, tuple(found)), keys).items():
        known = meant[name]
        if isinstance(part, dict) and isinstance(known, dict):
            part = {k: v for k, v in part.items() if k not in known or v != known[k]}
        if part not in ({}, known):
            kept[name] = part
    return kept


def changeable(stage: str) -> tuple[str, ...]:
    """List the keys of a stage that may differ from those that it was begun with."""
    own = BY_NAME[stage]
    return (*FREE, *own.remade, *own.beside, *own.stands)


def mark(*parts: Any) -> str:
    """Return 16 digits that stand for JSON values."""
    return digest(json.dumps([2, *parts], sort_keys=True).encode())


def origin_of(found: dict[str, Any], stage: str) -> str:
    """Return 16 digits that mark what a stage makes with the sections of a configuration."""
    return mark(reduced(found, (*FREE, *BY_NAME[stage].remade)))
