"""What a run folder holds, in a line: how far it is, how large, what it found."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from stnas.learn.comparison import leads, mean_lead, trainings
from stnas.store.files import read_json
from stnas.store.names import CONFIG, REPORT, RESULT, SETTINGS
from stnas.store.own_files import carries_mark
from stnas.store.settings import stored_values
from stnas.store.stages import BY_NAME

DEEP = 3
"""Folders below the one that is given in which runs are looked for."""


@dataclass(frozen=True)
class Summary:
    """A run in a line.

    stage: the last one that is complete, or the one that was begun. size: bytes. changed: seconds
    since 1970. network, madds, accuracy: of the chosen network that is best on the test images, by
    the mean of its trainings. lead: mean lead over random networks, as a share. damage: why its
    figures cannot be read.
    """

    name: str
    folder: Path
    seed: int | None
    stage: str
    size: int
    changed: float
    data: str = ""
    network: str = ""
    madds: int | None = None
    accuracy: float | None = None
    lead: float | None = None
    damage: str = ""


def is_run(folder: Path) -> bool:
    """Tell whether a folder is a run's: the record of a stage of ours lies there."""
    return any(carries_mark(folder / stage / CONFIG) for stage in BY_NAME)


def find_runs(root: Path) -> Iterator[Path]:
    """Yield the run folders in a folder, or the folder itself; links are not followed."""
    if is_run(root):
        yield root
        return
    for place, names, _ in os.walk(root):
        folder = Path(place)
        below = sorted(name for name in names if not (folder / name).is_symlink())
        yield from (folder / name for name in below if is_run(folder / name))
        deep = len(folder.relative_to(root).parts) + 1 < DEEP
        names[:] = [name for name in below if deep and not is_run(folder / name)]


def summary(folder: Path, root: Path) -> Summary:
    """Sum a run folder up; what is damaged is told, and no error."""
    name = str(folder.relative_to(root)) if folder != root else folder.resolve().name
    size, changed = extent(folder)
    plain = Summary(name, folder, None, stage_of(folder), size, changed)
    try:
        settings = stored_values(folder / SETTINGS)
        seed = settings.get("seed")
        figures: dict[str, Any] = {"seed": seed if isinstance(seed, int) else None}
        if (folder / "train" / RESULT).exists():
            figures["data"] = str(read_json(folder / "train" / RESULT)["data"]["name"])
        if (folder / "retrain" / RESULT).exists():
            figures |= best(read_json(folder / "retrain" / RESULT)["networks"])
    except (ValueError, KeyError, OSError, TypeError) as error:
        return Summary(**{**vars(plain), "damage": str(error).partition("\n")[0]})
    return Summary(**{**vars(plain), **figures})


def best(networks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of the chosen network that is best on the test images."""
    chosen = [row for row in networks if row["role"] == "chosen"]
    if not chosen:
        return {}
    means = {own["name"]: fmean(trainings(own, networks)) for own in chosen}
    row = max(chosen, key=lambda own: means[own["name"]])
    mean = mean_lead(leads(networks))
    return {
        "network": row["name"],
        "madds": row["madds"],
        "accuracy": means[row["name"]],
        "lead": None if mean is None else mean[0],
    }


def stage_of(folder: Path) -> str:
    """Name the last stage that is complete; where one behind it was begun, that one."""
    done = [name for name in BY_NAME if (folder / name / RESULT).exists()]
    begun = [name for name in BY_NAME if (folder / name / CONFIG).is_file()]
    if (folder / REPORT).exists():
        done.append("report")
    waiting = [name for name in begun if name not in done]
    if waiting:
        return f"{waiting[-1]} (begun)"
    return done[-1] if done else "-"


def extent(folder: Path) -> tuple[int, float]:
    """Return the bytes of the files in a folder, and when the last one was changed."""
    size, changed = 0, 0.0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # It was removed meanwhile.
                found = (Path(place) / name).lstat()
                size, changed = size + found.st_size, max(changed, found.st_mtime)
    return size, changed
