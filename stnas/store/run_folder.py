"""The run folder: the stages talk through the files in it."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from stnas.config import Config
from stnas.config.settling import settled
from stnas.group.device import described
from stnas.group.processes import current, led
from stnas.store.advice import advice
from stnas.store.files import check_origin, make_folder, read_json, write_json, write_whole
from stnas.store.listing import check_first_version, check_listed, listed, stage_files
from stnas.store.lock import Lock
from stnas.store.names import CONFIG, LOCK, RESULT, SETTINGS, TENSORBOARD, TRUTH
from stnas.store.origin import changeable, plain
from stnas.store.places import check_own_folders, sweep
from stnas.store.results import RESULTS
from stnas.store.rows import typed_row
from stnas.store.settings import sealed_settings
from stnas.store.stage_record import StageRecord
from stnas.store.stage_records import Records
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
        self.path = config.folder
        self._lock = Lock(self.path / LOCK)
        self._tell = tell
        self._records = Records(self.path, self.config, tell=tell)
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
            self._records.say_environment(earlier)
        if self.complete(stage) and not self._records.remade(stage):
            result = self.result(stage)
            if "files" not in result:
                check_first_version(self.path / stage, self.origin(stage))
            raise StageCompleteError(
                f"{self.path / stage} is complete; delete that folder to do the stage again"
            )
        self._records.check(stage)
        if not self.complete(stage):
            self._records.check_environment(stage)

    @led
    def begin(self, stage: str) -> Path:
        """Record the configuration of a stage that ``check`` let pass, and return its folder.

        A result that is to be made anew goes; one of networks that stay is kept under its origin.
        """
        folder, before = self.path / stage, self._records.find(stage)
        self._tell(f"{stage}: device {described(self.config.device)}")
        make_folder(folder)
        if before is None:
            self._anew.add(stage)
        now = StageRecord.of(self.config, stage)
        if before is not None and not before.changed(self.config, free=changeable(stage)):
            now = before.taken_up(self.config)
        if before is None or before.version > 1 or before.sections != now.sections:
            self._records.write(now)
        if self.complete(stage):
            if before is not None and now.origin != before.origin:
                kept = folder / f"result-{before.origin}.json"
                (folder / RESULT).replace(kept)
                self._tell(f"{stage}: the networks before stay, listed in {kept}")
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
        self._records.check(stage)
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
        return (self._records.find(stage) or StageRecord.of(self.config, stage)).mark(*more)

    @led
    def moved(self, stage: str) -> bool:
        """Tell whether a stage was begun with images under another path."""
        record = self._records.find(stage)
        return record is not None and record.sections["data"]["path"] != self.config.data.path
