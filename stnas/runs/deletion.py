"""Delete run folders, and nothing else."""

import os
import shutil
from pathlib import Path

from stnas.runs.summary import is_run
from stnas.store.lock import Lock
from stnas.store.names import LOCK, METRICS, SETTINGS, TENSORBOARD, TRUTH
from stnas.store.stages import BY_NAME

OURS = (
    *BY_NAME,
    *(LOCK, METRICS, SETTINGS, TENSORBOARD, TRUTH),
    *("data", "export", "evaluate", "latency"),
)
"""What a run makes in its folder."""


def check(folder: Path) -> None:
    """Raise ValueError unless all that lies in a folder is what a run makes there."""
    if folder.is_symlink() or not is_run(folder):
        raise ValueError(
            f"delete must name run folders, got {folder}, which is none: stnas runs lists them"
        )
    others = sorted(name for name in os.listdir(folder) if name not in OURS)
    if others:
        more = f" and {len(others) - 8} more" if len(others) > 8 else ""
        raise ValueError(
            f"delete must name a folder in which a run alone lies, got {folder} with "
            f"{', '.join(others[:8])}{more}: move these away first"
        )


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
