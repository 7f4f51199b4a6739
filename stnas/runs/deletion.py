"""Delete run folders, and nothing else."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from stnas.runs.summary import is_run
from stnas.store.lock import Lock
from stnas.store.names import (
    ARCHIVE,
    CARD,
    CONFIG,
    DESCRIPTION,
    DETECT,
    DETECTION,
    EVALUATE,
    EXPORT,
    FIGURES,
    FRONT,
    LATENCY,
    LOCK,
    METRICS,
    RANDOM,
    REPORT,
    RESULT,
    SCORES,
    SETTINGS,
    STATE,
    TENSORBOARD,
    TRUTH,
    previous,
)
from stnas.store.own_files import carries_mark, left
from stnas.store.stages import BY_NAME

STAGES = (*BY_NAME, TRUTH)
OURS = (
    *STAGES, LOCK, METRICS, SETTINGS, TENSORBOARD, "data", EXPORT, EVALUATE, LATENCY, DETECT,
)  # fmt: skip
"""What a run makes in its folder."""
KEPT = (CONFIG, RESULT, FRONT, DESCRIPTION, ARCHIVE, RANDOM, SCORES, STATE, previous(STATE))
"""Files of stages, which are theirs even where they are damaged."""
RECORDS = {EXPORT: CARD, EVALUATE: FIGURES, DETECT: DETECTION}
"""What lists the files in each folder of a command, also where it lies in that of another."""
HIDDEN = re.compile(r"\.stnas-.*\.part|\..*\.lock")
EVENTS = "events.out.tfevents."


def check(folder: Path) -> None:
    """Raise ValueError unless all that lies in a folder is what a run makes there."""
    if folder.is_symlink() or not is_run(folder):
        raise ValueError(
            f"delete must name run folders, got {folder}, which is none: stnas runs lists them"
        )
    others = sorted(name for name in os.listdir(folder) if name not in OURS)
    if not others:
        others = sorted(file.relative_to(folder).as_posix() for file in foreign(folder))
    if others:
        more = f" and {len(others) - 8} more" if len(others) > 8 else ""
        raise ValueError(
            f"delete must name a folder in which a run alone lies, got {folder} with "
            f"{', '.join(others[:8])}{more}: move these away first"
        )


def foreign(folder: Path) -> Iterator[Path]:
    """Yield the files in the folders of a run that none of its stages and commands made."""
    for place, _, names in os.walk(folder):
        for file in (Path(place, name) for name in names):
            if not (file.is_symlink() or HIDDEN.fullmatch(file.name) or is_own(file, folder)):
                yield file


def is_own(file: Path, folder: Path) -> bool:
    """Tell whether a file of a run folder was made by the stage or command whose place it is in."""
    path = file.relative_to(folder)
    top = path.parts[0]
    if path.as_posix() in (LOCK, METRICS, SETTINGS, REPORT):
        return True
    if top == TENSORBOARD:
        return file.name.startswith(EVENTS)
    if top in RECORDS:
        begun = top == DETECT and file.name == STATE
        return begun or any(file.name in left(file.parent, name) for name in RECORDS.values())
    return (top in STAGES and file.name in KEPT) or carries_mark(file)


def delete(folder: Path) -> None:
    """Delete a run folder; links in it are removed and not followed.

    RuntimeError: a process works on it.
    """
    check(folder)
    lock = Lock(folder / LOCK)
    if (holder := lock.take()) is not None:
        raise RuntimeError(
            f"the run folder {folder} is in use by another process ({holder}): wait until it ends"
        )
    try:
        shutil.rmtree(folder)
    finally:
        lock.release()
