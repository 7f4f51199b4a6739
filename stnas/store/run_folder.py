"""The run folder: the stages talk through the files in it."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from stnas.config import Config
from stnas.config.settling import settled
from stnas.group.processes import current, led
from stnas.store.advice import advice
from stnas.store.checksum import DamagedError
from stnas.store.files import check_origin, make_folder, read_json, write_json, write_whole
from stnas.store.listing import check_first_version, check_listed, listed, stage_files
from stnas.store.lock import Lock
from stnas.store.names import CONFIG, LOCK, RESULT, SETTINGS, TENSORBOARD, TRUTH
from stnas.store.origin import FREE, changeable, differences, plain
from stnas.store.places import check_own_folders, sweep
from stnas.store.results import RESULTS
from stnas.store.rows import typed_row
from stnas.store.settings import sealed_settings
from stnas.store.stage_record import StageRecord, environment
from stnas.store.stages import BY_NAME, reads

OWN = (*BY_NAME, "data")
"""Folders that a run makes for itself alone."""


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
        self._lock = Lock(self.path / LOCK)
        self._records: dict[str, StageRecord] = {}
        self._restored: set[str] = set()
        self._whole: set[str] = set()
        self._anew: set[str] = set()
        self._made = False

    def __enter__(self) -> Self:
        current().first(self._take_lock)
        return self

    def _take_lock(self) -> None:
        self._made = not self.path.exists()
        try:
            make_folder(self.path)
            holder = self._lock.take()
        except OSError as error:
            raise OSError(
                f"run must be a folder that can be written, got {self.path} ({error}): "
                f"{advice(error)} or choose another with --run"
            ) from error
        if holder is not None:
            raise RuntimeError(
                f"the run folder {self.path} is in use by another process ({holder}): "
                "wait until it ends, or choose another folder with --run"
            )
        try:
            check_own_folders(self.path, [*OWN, TENSORBOARD, TRUTH])
        except ValueError:
            self._lock.release()
            raise
        for name in OWN:
            sweep(self.path / name)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Let others take the folder; one that was made for an error alone goes, too."""
        if current().rank == 0:
            unused = kind is not None and self._made and os.listdir(self.path) == [LOCK]
            self._lock.release(remove=unused)
            if unused:
                with suppress(OSError):  # Another process has come in.
                    self.path.rmdir()

    @led
    def check(self, stage: str) -> None:
        """Check that a stage can start.

        Raises FileNotFoundError if a stage before it is missing, ValueError if the folder was
        made by another configuration, StageCompleteError if there is nothing to do.
        """
        for earlier in reads(stage, self.config):
            self.result(earlier)
            self._say_environment(earlier)
        record = self._record(stage)
        if self.complete(stage) and (record is None or not self._remade(record)):
            result = self.result(stage)
            if "files" not in result:
                check_first_version(self.path / stage, self.origin(stage))
            raise StageCompleteError(
                f"{self.path / stage} is complete; delete that folder to do the stage again"
            )
        self._check_record(stage)
        if not self.complete(stage):
            self._check_environment(stage)

    @led
    def begin(self, stage: str) -> Path:
        """Record the configuration of a stage that ``check`` let pass, and return its folder.

        A result that is to be made anew goes; one of networks that stay is kept under its origin.
        """
        folder, before = self.path / stage, self._record(stage)
        make_folder(folder)
        if before is None:
            self._anew.add(stage)
        now = StageRecord.of(self.config, stage)
        if before is not None and not before.changed(self.config, free=changeable(stage)):
            now = before.taken_up(self.config)
        if before is None or before.version > 1 or before.sections != now.sections:
            now.write(folder)
            self._records[stage] = now
        if self.complete(stage):
            if before is not None and now.origin != before.origin:
                (folder / RESULT).replace(folder / f"result-{before.origin}.json")
            else:
                (folder / RESULT).unlink()
        write_whole(self.path / SETTINGS, sealed_settings(plain(self.config)))
        return folder

    def gone(self) -> list[str]:
        """List the stages whose work is not there, or was not when they were begun."""
        return [
            name
            for name in BY_NAME
            if name in self._anew or not (self.path / name / CONFIG).exists()
        ]

    def complete(self, stage: str) -> bool:
        """Tell whether a stage has a result."""
        return (self.path / stage / RESULT).exists()

    @led
    def result(self, stage: str) -> Any:
        """Return what a complete stage left, as ``RESULTS`` defines it.

        FileNotFoundError names the command to run; ValueError: it is damaged, or not this run's.
        """
        file = self.path / stage / RESULT
        if not self.complete(stage):
            raise FileNotFoundError(
                f"{file} is missing, so the stage {stage} is not complete: "
                f"run `stnas {stage} --run {self.path}` first"
            )
        result = read_json(file)
        self._check_record(stage)
        check_origin(result, self.origin(stage), file)
        if stage not in self._whole:
            check_listed(file.parent, result)
            self._whole.add(stage)
        return typed_row(RESULTS[stage], result, file)

    @led
    def finish(
        self, stage: str, result: Mapping[str, Any], *, files: Iterable[Path] | None = None
    ) -> None:
        """Write a stage's result, which makes it complete.

        files: what it has made, by default all that lies in its folder.
        """
        folder = self.path / stage
        made = listed(folder, stage_files(folder) if files is None else files)
        write_json(folder / RESULT, {**result, "files": made, "origin": self.origin(stage)})

    @led
    def origin(self, stage: str, *more: str) -> str:
        """Return the 16 digits that mark what a stage of this run makes, or a part of that.

        They are those that the stage was begun with. more: words that name the part.
        """
        return (self._record(stage) or StageRecord.of(self.config, stage)).mark(*more)

    @led
    def moved(self, stage: str) -> bool:
        """Tell whether a stage was begun with images under another path."""
        record = self._record(stage)
        return record is not None and record.sections["data"]["path"] != self.config.data.path

    def _remade(self, record: StageRecord) -> bool:
        """Tell whether a result is to be made anew, or does not belong to the configuration."""
        return bool(record.changed(self.config, free=(*FREE, *BY_NAME[record.stage].stands)))

    def _record(self, stage: str) -> StageRecord | None:
        """Read what a stage was begun with; None: it was not."""
        if stage not in self._records:
            folder = self.path / stage
            if not (folder / CONFIG).exists():
                check_empty(folder)
                return None
            try:
                self._records[stage] = StageRecord.read(folder)
            except DamagedError as error:
                self._records[stage] = StageRecord.restored(self.path, stage)
                self._restored.add(stage)
                self.tell(f"{said(error)}: {self.path / SETTINGS} replaces it")
        return self._records[stage]

    def _check_record(self, stage: str) -> None:
        """Raise if work of a stage was made by another configuration; say what must go."""
        record, folder = self._record(stage), self.path / stage
        if record is None:
            return
        changed = record.changed(self.config, free=changeable(stage))
        if changed and has_work(folder):
            built = [str(self.path / name) for name in self._built_otherwise()]
            raise ValueError(
                f"{folder} was made by another configuration ({'; '.join(changed)}): set these "
                f"back, choose another --run, or delete {', '.join(built)} and begin again with "
                f"these options at the stage {Path(built[0]).name}"
            )
        if not changed and stage in self._restored:
            record.write(folder)
            self._restored.remove(stage)

    def _built_otherwise(self) -> list[str]:
        """List the stages with work that another configuration made, in order."""
        found = []
        for name in BY_NAME:
            if not BY_NAME[name].sections:
                continue
            record = self._record(name) if has_work(self.path / name) else None
            if record is not None and record.changed(self.config, free=changeable(name)):
                found.append(name)
        return found

    def _check_environment(self, stage: str) -> None:
        """Raise where a half-done stage would go on with other code, unless that is allowed."""
        changed = self._other_environment(stage)
        if not changed or not has_work(self.path / stage):
            return
        if not self.config.allow_mixed:
            raise ValueError(
                f"{self.path / stage} was begun with another environment ({'; '.join(changed)}), "
                "so that its result would be neither's: go on with that one, delete "
                f"{self.path / stage}, or mix them with --allow_mixed true"
            )
        self.tell(f"{stage}: goes on with another environment ({'; '.join(changed)})")

    def _say_environment(self, stage: str) -> None:
        if changed := self._other_environment(stage):
            self.tell(f"{self.path / stage} was made in another environment: {'; '.join(changed)}")

    def _other_environment(self, stage: str) -> list[str]:
        record = self._record(stage)
        if record is None or not record.made_with:
            return []
        return differences(record.made_with[-1], environment())


def said(error: Exception) -> str:
    """Return what is wrong, without the repair."""
    return str(error).partition(": ")[0]


def has_work(folder: Path) -> bool:
    """Tell whether a stage's folder holds more than its record."""
    return any(file.name != CONFIG and file.is_file() for file in folder.rglob("[!.]*"))


def check_empty(folder: Path) -> None:
    """Refuse files of a stage that do not tell what configuration made them."""
    found = sorted(file.name for file in folder.glob("[!.]*"))
    if found:
        raise FileNotFoundError(
            f"{folder / CONFIG} is missing, so nothing tells which configuration made "
            f"{found[0]}: restore it from a copy, or delete {folder}"
        )
