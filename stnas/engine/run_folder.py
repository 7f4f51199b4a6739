"""The run folder: the stages talk through the files in it."""

import dataclasses
import fcntl
from pathlib import Path
from typing import Any, Self

import yaml

from stnas.config import Config
from stnas.data import settled
from stnas.engine.files import read_json, write_json, write_text
from stnas.engine.process_group import current, led

UPSTREAM = {
    "train": ("seed", "space", "data", "train"),
    "sgld": ("seed", "space", "data", "train", "sgld"),
    "search": ("seed", "space", "data", "train", "sgld", "search"),
    "retrain": ("seed", "space", "data", "train", "sgld", "search", "retrain"),
}
"""Sections of the configuration that determine a stage's result."""

VERSION = 1


class StageCompleteError(Exception):
    """The stage asked for is complete already."""


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


class RunFolder:
    """A run's folder, locked for one process: use it as a context manager.

    Of several processes in a group the leader holds the lock, reads and writes for all of them.
    ``RUN/<stage>/result.json`` is written last: it makes the stage complete.
    """

    def __init__(self, config: Config) -> None:
        self.config = dataclasses.replace(config, data=settled(config.data))
        self.path = Path(config.run)

    def __enter__(self) -> Self:
        current().first(self._take_lock)
        return self

    def _take_lock(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / ".lock").open("w")
        except OSError as error:
            raise OSError(
                f"run must be a folder that can be written, got {self.path} ({error}): "
                "choose another with --run"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise RuntimeError(
                f"the run folder {self.path} is in use by another process: "
                "wait until it ends, or choose another folder with --run"
            ) from None

    def __exit__(self, *_: object) -> None:
        if current().rank == 0:
            self._lock.close()

    @led
    def check(self, stage: str) -> None:
        """Check that a stage can start.

        Raises FileNotFoundError if a stage before it is missing, ValueError if the folder was
        made by another configuration, StageCompleteError if there is nothing to do.
        """
        for earlier in list(UPSTREAM)[: list(UPSTREAM).index(stage)]:
            self.result(earlier)
        if (self.path / stage / "result.json").exists():
            self.result(stage)
            raise StageCompleteError(
                f"{self.path / stage} is complete; delete that folder to do the stage again"
            )
        self._check_sections(stage, self.path / stage / "config.json")

    @led
    def begin(self, stage: str) -> Path:
        """Record the configuration of a stage that ``check`` let pass, and return its folder."""
        folder = self.path / stage
        folder.mkdir(exist_ok=True)
        write_json(folder / "config.json", self._sections(stage))
        write_text(self.path / "config.yaml", yaml.safe_dump(plain(self.config), sort_keys=False))
        return folder

    @led
    def result(self, stage: str) -> dict[str, Any]:
        """Return what a complete stage left, or raise an error that names the command to run."""
        file = self.path / stage / "result.json"
        if not file.exists():
            raise FileNotFoundError(
                f"{file} is missing, so the stage {stage} is not complete: "
                f"run `stnas {stage} --run {self.path}` first"
            )
        result = read_json(file)
        if not isinstance(result, dict) or result.get("version") != VERSION:
            raise ValueError(f"{file} was not written by this version of stnas: use another --run")
        self._check_sections(stage, self.path / stage / "config.json")
        return result

    @led
    def finish(self, stage: str, result: dict[str, Any]) -> None:
        """Write a stage's result, which makes it complete."""
        write_json(self.path / stage / "result.json", {"version": VERSION, **result})

    def _sections(self, stage: str) -> dict[str, Any]:
        return {name: plain(getattr(self.config, name)) for name in UPSTREAM[stage]}

    def _check_sections(self, stage: str, file: Path) -> None:
        if not file.exists():
            return
        changed = differences(read_json(file), self._sections(stage))
        if changed:
            raise ValueError(
                f"{self.path / stage} was made by another configuration ({'; '.join(changed)}): "
                f"set these back, choose another --run, or delete {self.path / stage} and the "
                "stages after it"
            )
