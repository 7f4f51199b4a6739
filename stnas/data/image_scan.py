"""What a scan of a streamed folder found, kept in the run folder from one start to the next."""

import os
from pathlib import Path

import numpy as np
import torch

from stnas.config import Config
from stnas.data import Dataset, Scan, load, open_streamed
from stnas.group.processes import current
from stnas.store.console import say, warn
from stnas.store.names import SCAN
from stnas.store.tensors import read_tensors, write_tensors

SHOWN = 20


def open_images(config: Config) -> Dataset:
    """Load the images into memory, or scan the folder that they are streamed from.

    Only files that are not as they were at the last scan are read again. Of several processes the
    leader scans; the others read what is not as it found it.
    """
    if not config.data.streamed:
        return load(config.data, seed=split_seed(config))
    opened: list[Dataset] = []
    scan = current().first(lambda: scan_images(config, opened))
    if not opened:
        opened.append(open_streamed(config.data, seed=split_seed(config), known=scan, say=quiet)[0])
    return opened[0]


def scan_images(config: Config, opened: list[Dataset]) -> Scan:
    """Scan the folder, append its data set to ``opened`` and keep what was found."""
    file = config.folder / SCAN
    known = read_scan(file)
    dataset, scan = open_streamed(config.data, seed=split_seed(config), known=known, say=warn)
    if known is not None:
        say_changed(known, scan)
    if known is None or not same(known, scan):
        write_scan(file, scan)
    opened.append(dataset)
    return scan


def split_seed(config: Config) -> int:
    """Return the seed of the division into training and held-out images."""
    return config.seed if config.data.split_seed is None else config.data.split_seed


def quiet(_: str) -> None:
    """Leave the printing to the leader."""


def say_changed(known: Scan, scan: Scan) -> None:
    """Name the first files that are not what they were at the last scan, or not there."""
    before, now = (dict(zip(x.names, x.facts.tolist(), strict=True)) for x in (known, scan))
    names = sorted(name for name in {**before, **now} if before.get(name) != now.get(name))
    if names:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        say(f"changed since the last start: {', '.join(names[:SHOWN])}{more}")


def same(first: Scan, second: Scan) -> bool:
    """Tell whether two scans found the same."""
    return (
        first.names == second.names
        and np.array_equal(first.stamps, second.stamps)
        and np.array_equal(first.facts, second.facts)
    )


def read_scan(file: Path) -> Scan | None:
    """Read a scan; None, and a line that says so, where the file is damaged."""
    if not file.exists():
        return None
    try:
        tensors, _ = read_tensors(file)
        names = os.fsdecode(tensors["names"].numpy().tobytes()).split("\0")
        stamps, facts = tensors["stamps"].numpy(), tensors["facts"].numpy()
        if facts.shape != (len(names), 4):
            raise ValueError(f"{file} has {facts.shape[1:]} facts a file and not 4")
    except (ValueError, KeyError) as error:
        say(f"{error}; every image is looked at again")
        return None
    return Scan(tuple(names), stamps, facts)


def write_scan(file: Path, scan: Scan) -> None:
    """Write a scan."""
    names = np.frombuffer(os.fsencode("\0".join(scan.names)), dtype=np.uint8).copy()
    arrays = {"names": names, "stamps": scan.stamps, "facts": scan.facts}
    write_tensors(file, {name: torch.from_numpy(array) for name, array in arrays.items()})
