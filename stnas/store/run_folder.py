"""The run folder: the stages talk through the files in it."""

import dataclasses
import fcntl
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from stnas.config import Config
from stnas.config.settling import settled
from stnas.group.processes import current, led
from stnas.store.checksum import DamagedError
from stnas.store.files import (
    check_origin,
    read_json,
    read_rows,
    read_tensors,
    sweep,
    write_json,
    write_whole,
)
from stnas.store.origin import (
    BEFORE,
    EXTENSIBLE,
    UPSTREAM,
    differences,
    fixed,
    origin_of,
    plain,
    sections,
)
from stnas.store.settings import read_settings, sealed_settings


class StageCompleteError(Exception):
    """The stage asked for is complete already."""


class RunFolder:
    """A run's folder, locked for one process: use it as a context manager.

    Of several processes in a group the leader holds the lock, reads and writes for all of them.
    ``RUN/<stage>/result.json`` is written last: it makes the stage complete. tell: takes a line
    about what was damaged and what is used in its place.
    """

    def __init__(self, config: Config, *, tell: Callable[[str], None] = print) -> None:
        self.config = dataclasses.replace(config, data=settled(config.data))
        self.tell = tell
        self.path = config.folder

    def __enter__(self) -> Self:
        current().first(self._take_lock)
        return self

    def _take_lock(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / ".lock").open("a+")
        except OSError as error:
            raise OSError(
                f"run must be a folder that can be written, got {self.path} ({error}): "
                "choose another with --run"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            holder = self._lock.read(200).strip() or "unknown"
            self._lock.close()
            raise RuntimeError(
                f"the run folder {self.path} is in use by another process ({holder}): "
                "wait until it ends, or choose another folder with --run"
            ) from None
        self._claim()

    def _claim(self) -> None:
        """Write down who holds the lock, and clear away what a killed process left half-written."""
        try:
            self._lock.truncate(0)
            self._lock.write(f"process {os.getpid()} on {platform.node()}\n")
            self._lock.flush()
        except OSError as error:
            self._lock.close()
            raise OSError(
                f"{self.path / '.lock'} could not be written ({error}): free some space and run "
                "the same command again"
            ) from error
        sweep(self.path)

    def __exit__(self, *_: object) -> None:
        if current().rank == 0:
            self._lock.close()

    @led
    def check(self, stage: str) -> None:
        """Check that a stage can start.

        Raises FileNotFoundError if a stage before it is missing, ValueError if the folder was
        made by another configuration, StageCompleteError if there is nothing to do.
        """
        for earlier in BEFORE[stage]:
            self.result(earlier)
        if (self.path / stage / "result.json").exists() and self._is_current(stage):
            self.result(stage)
            self._verify(stage)
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
        write_whole(self.path / "config.yaml", sealed_settings(plain(self.config)))
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
        self._check_sections(stage, self.path / stage / "config.json")
        check_origin(result, self.origin(stage), file)
        return result

    @led
    def finish(self, stage: str, result: dict[str, Any]) -> None:
        """Write a stage's result, which makes it complete."""
        origin = {"origin": self.origin(stage)}
        write_json(self.path / stage / "result.json", {**result, **origin})

    def origin(self, stage: str) -> str:
        """Return the 16 digits that mark what a stage of this run makes."""
        return origin_of(self.config, stage)

    def _is_current(self, stage: str) -> bool:
        """Tell whether a result stands; where a key that may change has, it is removed."""
        if stage not in EXTENSIBLE:
            return True
        recorded, _ = self._recorded(stage, self.path / stage / "config.json")
        if recorded == self._sections(stage) or differences(
            fixed(recorded, stage), fixed(self._sections(stage), stage)
        ):
            return True
        (self.path / stage / "result.json").unlink()
        return False

    def _verify(self, stage: str) -> None:
        """Check every file of a complete stage."""
        origin = self.origin(stage)
        for file in sorted((self.path / stage).rglob("[!.]*")):
            if file.suffix == ".jsonl":
                read_rows(file, origin=origin)
            elif file.suffix == ".json" and file.name != "config.json":
                check_origin(read_json(file), origin, file)
            elif file.suffix == ".safetensors" and not file.name.startswith("state."):
                check_origin(read_tensors(file)[1], origin, file)

    def _sections(self, stage: str) -> dict[str, Any]:
        return sections(self.config, stage)

    def _recorded(self, stage: str, file: Path) -> tuple[dict[str, Any], bool]:
        """Read a stage's sections, and tell whether ``file`` is whole.

        If it is damaged, those of ``config.yaml`` are the same: nothing is begun whose sections
        differ from those that a stage before it was made with.
        """
        whole = True
        try:
            sections = read_json(file)
        except DamagedError as error:
            whole = False
            sections = read_settings(self.path / "config.yaml")
            self.tell(f"{str(error).partition(': ')[0]}: {self.path / 'config.yaml'} replaces it")
        return {name: sections.get(name) for name in UPSTREAM[stage]}, whole

    def _check_sections(self, stage: str, file: Path) -> None:
        if not file.exists():
            self._check_empty(file.parent)
            return
        recorded, whole = self._recorded(stage, file)
        changed = differences(fixed(recorded, stage), fixed(self._sections(stage), stage))
        if changed:
            raise ValueError(
                f"{self.path / stage} was made by another configuration ({'; '.join(changed)}): "
                f"set these back, choose another --run, or delete {self.path / stage} and the "
                "stages after it"
            )
        if not whole:
            write_json(file, recorded)

    def _check_empty(self, folder: Path) -> None:
        """Refuse files of a stage that do not tell what configuration made them."""
        found = sorted(file.name for file in folder.glob("[!.]*"))
        if found:
            raise FileNotFoundError(
                f"{folder / 'config.json'} is missing, so nothing tells which configuration made "
                f"{found[0]}: restore it from a copy, or delete {folder}"
            )
