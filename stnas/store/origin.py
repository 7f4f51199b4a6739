"""What determines a stage's result: the sections of the configuration, and a mark made of them."""

import dataclasses
import json
from typing import Any

from stnas.config import Config
from stnas.config.settling import settled
from stnas.store.checksum import digest

BASE = ("seed", "space", "data", "train")
UPSTREAM = {
    "train": BASE,
    "sgld": (*BASE, "sgld"),
    "search": (*BASE, "sgld", "search"),
    "verdict": (*BASE, "sgld", "search", "verdict", "retrain"),
    "rank": (*BASE, "sgld", "search", "rank", "retrain"),
    "retrain": (*BASE, "sgld", "search", "verdict", "retrain"),
}
"""Sections of the configuration that determine a stage's result."""
BEFORE = {
    "train": (),
    "sgld": ("train",),
    "search": ("train", "sgld"),
    "verdict": ("train", "sgld", "search"),
    "rank": ("train",),
    "retrain": ("train", "sgld", "search"),
}
"""Stages that a stage reads from."""
EXTENSIBLE = {
    "rank": (
        "retrain",
        "rank.truth",
        "rank.truth_epochs",
        "rank.truth_seeds",
        "rank.repeated",
        "rank.ways",
        "rank.bands",
        "rank.resamples",
    )
}
"""Keys of a stage that may change: what it has kept holds, and its result is made anew from it."""


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
    return {name: plain(getattr(config, name)) for name in UPSTREAM[stage]}


def fixed(found: dict[str, Any], stage: str) -> dict[str, Any]:
    """Return the sections of a stage without the keys that may change."""
    kept = {n: dict(part) if isinstance(part, dict) else part for n, part in found.items()}
    for key in EXTENSIBLE.get(stage, ()):
        section, _, name = key.partition(".")
        owner, own = (kept.get(section), name) if name else (kept, section)
        if isinstance(owner, dict):
            owner.pop(own, None)
    return kept


def origin_of(config: Config, stage: str, *more: str) -> str:
    """Return 16 digits that mark what a stage makes: its configuration, and further words."""
    settled_config = dataclasses.replace(config, data=settled(config.data))
    text = json.dumps([fixed(sections(settled_config, stage), stage), *more], sort_keys=True)
    return digest(text.encode())
