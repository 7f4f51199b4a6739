"""Write the page of a run again and again while the run goes on."""

import time
from collections.abc import Callable
from pathlib import Path

from stnas.config import Config
from stnas.report.load import Record, load_record
from stnas.report.samples import Samples, samples
from stnas.report.stage import write_page
from stnas.store.checksum import DamagedError
from stnas.store.console import say
from stnas.store.names import METRICS, RESULT
from stnas.store.stages import whole_run

SECONDS = 5.0
"""Time between two looks at the run."""
WATCHED = (METRICS, "search/archive.jsonl")


def watch(config: Config, *, pause: Callable[[float], None] = time.sleep) -> None:
    """Write the page whenever the run has got further, until the run is complete.

    FileNotFoundError: there is no such run. The last page is that of ``stnas report``.
    """
    seen: dict[str, int] = {}
    said, taken = "", None
    while True:
        now, whole = state(config.folder), complete(config)
        if now != seen or whole:
            seen = now
            try:
                record = load_record(config.folder)
            except FileNotFoundError:
                line = f"report: waiting for stnas train on {config.run}"
            except DamagedError:
                if whole:
                    raise
                line = said  # a line is being written
            else:
                taken = pictures(config, record, taken, whole)
                path = write_page(record, samples=taken, watched=not whole)
                line = f"report: {path}"
            if line != said:
                say(line)
            said = line
        if whole:
            return
        pause(SECONDS)


def state(folder: Path) -> dict[str, int]:
    """Return the sizes of what tells how far a run is, by name."""
    files = [folder / name for name in WATCHED] + sorted(folder.glob(f"*/{RESULT}"))
    return {str(file): file.stat().st_size for file in files if file.exists()}


def complete(config: Config) -> bool:
    """Tell whether every stage of the whole run but the report has its result."""
    stages = [stage for stage in whole_run(config) if stage != "report"]
    return all((config.folder / stage / RESULT).exists() for stage in stages)


def pictures(config: Config, record: Record, taken: Samples | None, whole: bool) -> Samples:
    """Take the images once, and once more when there are networks to ask."""
    return samples(config, record) if taken is None or whole else taken
