"""What the stages of a run were begun with, and whether the configuration of now still fits."""

from collections.abc import Callable
from pathlib import Path

from stnas.config import Config
from stnas.store.checksum import DamagedError
from stnas.store.names import CONFIG, SETTINGS
from stnas.store.origin import FREE, changeable, differences
from stnas.store.stage_record import StageRecord, environment
from stnas.store.stages import BY_NAME


class Records:
    """The records in a run's folder, each read once, beside the configuration of now.

    tell: takes a line about what was damaged, or made by other code.
    """

    def __init__(self, path: Path, config: Config, *, tell: Callable[[str], None]) -> None:
        self.path, self.config, self.tell = path, config, tell
        self._found: dict[str, StageRecord] = {}
        self._restored: set[str] = set()

    def find(self, stage: str) -> StageRecord | None:
        """Return what a stage was begun with; None: it was not."""
        if stage not in self._found:
            folder = self.path / stage
            if not (folder / CONFIG).exists():
                check_empty(folder)
                return None
            try:
                self._found[stage] = StageRecord.read(folder)
            except DamagedError as error:
                self._found[stage] = StageRecord.restored(self.path, stage)
                self._restored.add(stage)
                self.tell(f"{said(error)}: {self.path / SETTINGS} replaces it")
        return self._found[stage]

    def write(self, record: StageRecord) -> None:
        """Keep the record of a stage that begins or goes on."""
        record.write(self.path / record.stage)
        self._found[record.stage] = record

    def remade(self, stage: str) -> bool:
        """Tell whether a result is to be made anew, or does not belong to the configuration."""
        record, stands = self.find(stage), BY_NAME[stage].stands
        return record is not None and bool(record.changed(self.config, free=(*FREE, *stands)))

    def check(self, stage: str) -> None:
        """Raise if work of a stage was made by another configuration; say what must go."""
        record, folder = self.find(stage), self.path / stage
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
            record = self.find(name) if has_work(self.path / name) else None
            if record is not None and record.changed(self.config, free=changeable(name)):
                found.append(name)
        return found

    def check_environment(self, stage: str) -> None:
        """Raise where a half-done stage would go on with other code, unless that is allowed.

        On another device it may go on.
        """
        changed = self._other_environment(stage)
        if not changed or not has_work(self.path / stage):
            return
        code = [line for line in changed if not line.startswith("device: ")]
        if code and not self.config.allow_mixed:
            raise ValueError(
                f"{self.path / stage} was begun with another environment ({'; '.join(code)}), "
                "so that its result would be neither's: go on with that one, delete "
                f"{self.path / stage}, or mix them with --allow_mixed true"
            )
        self.tell(f"{stage}: goes on with another environment ({'; '.join(changed)})")

    def say_environment(self, stage: str) -> None:
        """Tell where a stage was made by other code."""
        if changed := self._other_environment(stage):
            self.tell(f"{self.path / stage} was made in another environment: {'; '.join(changed)}")

    def _other_environment(self, stage: str) -> list[str]:
        record = self.find(stage)
        if record is None or not record.made_with:
            return []
        now = environment(self.config)
        return differences({name: record.made_with[-1].get(name) for name in now}, now)


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
