"""``config.json`` of a stage: the configuration that it was begun with, and on what."""

import json
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from stnas import __version__
from stnas.config import Config
from stnas.group.device import device_of, kind_of
from stnas.store.checksum import digest
from stnas.store.files import read_json, write_json
from stnas.store.machine import processor
from stnas.store.names import CONFIG, RESULT, SETTINGS
from stnas.store.origin import (
    FREE,
    completed,
    differences,
    mark,
    origin_of,
    sections,
    without,
)
from stnas.store.settings import read_settings, settings_version
from stnas.store.stages import BY_NAME

FIRST_FREE = {
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
"""Keys that origins of version 1 leave out; they contain all others that there were then."""


def environment(config: Config) -> dict[str, str]:
    """Return what decides the last bits beside the sections: versions, instructions, the device."""
    import_module("stnas._C")
    return {
        "stnas": __version__,
        "torch": str(torch.__version__),
        "instructions": torch.ops.stnas.isa(),
        "torch_instructions": torch.backends.cpu.get_cpu_capability(),
        "device": kind_of(device_of(config.device)),
    }


@dataclass(frozen=True)
class StageRecord:
    """What a stage was begun with.

    sections: of the configuration. origin: marks what it makes. made_with: every environment that
    worked on it, with its processor, the last one last; empty in files of version 1, which do not
    tell.
    """

    stage: str
    sections: dict[str, Any]
    origin: str
    made_with: tuple[dict[str, str], ...] = ()
    version: int = 2

    @classmethod
    def of(cls, config: Config, stage: str) -> "StageRecord":
        """Make the record of a stage that begins now, with a settled configuration."""
        found = sections(config, stage)
        made = {**environment(config), "processor": processor()}
        return cls(stage, found, origin_of(found, stage), (made,))

    @classmethod
    def from_json(cls, found: dict[str, Any], stage: str) -> "StageRecord":
        """Take what ``write`` wrote, or what version 1 did: the sections alone."""
        rest = dict(found)
        version, origin = rest.pop("version"), rest.pop("origin", None)
        made_with = tuple(
            {**made, "device": made.get("device", "cpu")} for made in rest.pop("made_with", ())
        )
        if origin is None:
            return cls(stage, rest, first_origin(rest, stage), made_with, version)
        return cls(stage, rest, str(origin), made_with)

    @classmethod
    def read(cls, folder: Path) -> "StageRecord":
        """Read the record in a stage's folder."""
        return cls.from_json(read_json(folder / CONFIG), folder.name)

    @classmethod
    def restored(cls, run: Path, stage: str) -> "StageRecord":
        """Make a record from ``config.yaml`` and the stage's result, where its own is damaged.

        Nothing is begun whose sections differ from those that a stage before it was made with.
        """
        file, version = run / SETTINGS, settings_version(run / SETTINGS)
        names = [name for name in BY_NAME[stage].sections if version > 1 or name != "kernels"]
        found = {name: part for name, part in read_settings(file).items() if name in names}
        if (run / stage / RESULT).exists():
            origin = read_json(run / stage / RESULT).get("origin")
        else:
            origin = None if version == 1 else origin_of(found, stage)
        marked = {} if origin is None else {"origin": origin}
        return cls.from_json({"version": version, **marked, **found}, stage)

    def write(self, folder: Path) -> None:
        """Write the record into a stage's folder."""
        head = {"origin": self.origin, "made_with": list(self.made_with)}
        write_json(folder / CONFIG, {**head, **self.sections})

    def changed(self, config: Config, *, free: tuple[str, ...]) -> list[str]:
        """List the keys that differ from a configuration's, but for those of ``free``."""
        now = sections(config, self.stage)
        kernels = {"kernels": config.kernels} if self.version == 1 else {}
        whole = completed({**kernels, **self.sections}, tuple(now))
        return differences(without(whole, free), without(now, free))

    def taken_up(self, config: Config) -> "StageRecord":
        """Return the record of the stage that goes on with a configuration like this one's.

        Where keys differ that its files depend on, what is made from now on has an origin of its
        own and comes beside what there is.
        """
        now = StageRecord.of(config, self.stage)
        if not self.changed(config, free=FREE):
            now = replace(now, sections=self.sections)
        if not self.changed(config, free=(*FREE, *BY_NAME[self.stage].remade)):
            now = replace(now, origin=self.origin)
        before = [made for made in self.made_with if made != now.made_with[0]]
        return replace(now, made_with=(*before, *now.made_with))

    def mark(self, *more: str) -> str:
        """Return 16 digits that mark a part of what the stage makes, named by further words."""
        if not more:
            return self.origin
        if self.version == 1 and self.stage == "retrain":
            return self.origin
        if self.version == 1:
            return first_origin(self.sections, self.stage, *more)
        return mark(self.origin, *more)


def first_origin(found: dict[str, Any], stage: str, *more: str) -> str:
    """Return an origin of version 1: a digest of whole sections."""
    kept = without(found, FIRST_FREE.get(stage, ()))
    return digest(json.dumps([kept, *more], sort_keys=True).encode())
