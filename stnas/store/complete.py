"""What complete stages left, for those who look at a run without locking it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stnas.store.checksum import DamagedError
from stnas.store.files import check_origin, read_json
from stnas.store.listing import check_listed
from stnas.store.names import CONFIG, RESULT
from stnas.store.origin import changeable, completed, differences, without
from stnas.store.results import RESULTS
from stnas.store.rows import typed_row
from stnas.store.stage_record import StageRecord
from stnas.store.stages import BY_NAME


def read_result(run: Path, stage: str, *, files: bool = True) -> Any:
    """Return what a complete stage left, as ``RESULTS`` defines it.

    files: whether those that it lists are compared with it. FileNotFoundError or DamagedError: one
    of them is not there as it was, or the result belongs to other work than the record beside it.
    """
    folder = run / stage
    result = read_json(folder / RESULT)
    if "origin" in result:
        check_origin(result, record_of(run, stage).origin, folder / RESULT)
    if files:
        check_listed(folder, result)
    return typed_row(RESULTS[stage], result, folder / RESULT)


def check_part(folder: Path) -> None:
    """Check a folder inside a stage's, such as ``RUN/retrain/A``, where that stage is complete."""
    place = folder.absolute()
    stage = place.parent
    if stage.name in RESULTS and (stage / RESULT).exists():
        listed = read_result(stage.parent, stage.name, files=False).get("files", {})
        own = {name: listed[name] for name in listed if name.startswith(f"{place.name}/")}
        check_listed(stage, {"files": own})


def record_of(run: Path, stage: str) -> StageRecord:
    """Return what a stage was begun with; the run's settings replace a damaged record."""
    try:
        return StageRecord.read(run / stage)
    except DamagedError:
        return StageRecord.restored(run, stage)


def check_together(run: Path, stages: Sequence[str]) -> None:
    """Raise DamagedError where the folder of a stage belongs to another run than one it reads."""
    begun = [stage for stage in stages if (run / stage / CONFIG).exists()]
    records = {stage: record_of(run, stage) for stage in begun}
    for name, record in records.items():
        for earlier in (other for other in BY_NAME[name].reads if other in records):
            free = (*changeable(earlier), *changeable(name))
            both = record.sections.keys() & records[earlier].sections.keys()
            before, now = (
                without(completed(found.sections, tuple(sorted(both))), free)
                for found in (records[earlier], record)
            )
            if changed := differences(before, now):
                raise DamagedError(
                    f"{run / name / CONFIG} tells of another run than {run / earlier / CONFIG} "
                    f"({'; '.join(changed)}): restore the right folder of the two from a copy, or "
                    f"delete {run / name} and run `stnas {name} --run {run}`"
                )
