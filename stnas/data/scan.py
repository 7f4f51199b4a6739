"""Look at every image file once before anything is trained: size, content, and the broken ones."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stnas.config.data import DataConfig
from stnas.data.decode import each, header, opened
from stnas.data.showing import SIDEWAYS, is_transparent, orientation

FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
"""Formats that every backend decodes to the same pixels, animations excepted."""
TURN = 15
"""Bits of a mark that hold the value of the orientation tag."""
TRANSPARENT, TRIED, BEYOND = 16, 32, 64
"""Bits of a mark: pixels let the background through; DALI tried to decode the file; it cannot."""
_PART = 8192
Say = Callable[[str], None]
Stamp = tuple[int, int]
Facts = tuple[int, int, int, int]
Trial = Callable[[Sequence[Path], NDArray[np.int64]], list[int]]


@dataclass(frozen=True, eq=False)
class Scan:
    """Hold what is known of ``n`` whole image files, to be kept from one start to the next."""

    names: tuple[str, ...]
    """Paths below the folder."""
    stamps: NDArray[np.int64]
    """Bytes and time of the last change in nanoseconds ``[n, 2]``: both the same, same file."""
    facts: NDArray[np.int64]
    """Height, width, digest of the content and marks ``[n, 4]``."""

    def sizes(self, config: DataConfig) -> NDArray[np.int64]:
        """Return (height, width) of the images as they are shown ``[n, 2]``."""
        return shown_sizes(self.facts, config)

    def turned(self, config: DataConfig) -> NDArray[np.bool_]:
        """Tell which images are set upright ``[n]``."""
        return ((self.facts[:, 3] & TURN) > 1) & (config.orientation == "apply")

    def composed(self, config: DataConfig) -> NDArray[np.bool_]:
        """Tell which images are laid upon the background ``[n]``."""
        return ((self.facts[:, 3] & TRANSPARENT) > 0) & (config.background is not None)

    def beyond(self) -> NDArray[np.bool_]:
        """Tell which files DALI does not decode ``[n]``."""
        found: NDArray[np.bool_] = (self.facts[:, 3] & BEYOND) > 0
        return found


def shown_sizes(facts: NDArray[np.int64], config: DataConfig) -> NDArray[np.int64]:
    """Return (height, width) of images as they are shown ``[n, 2]``; facts: ``[n, 4]``."""
    sideways = ((facts[:, 3] & TURN) >= SIDEWAYS) & (config.orientation == "apply")
    return np.where(sideways[:, None], facts[:, 1::-1], facts[:, :2])


def scan_files(
    files: Sequence[Path],
    *,
    root: Path,
    known: Scan | None,
    workers: int | None,
    say: Say,
    trial: Trial | None = None,
) -> tuple[Scan, list[tuple[Path, str]]]:
    """Decode every file that ``known`` does not vouch for; return the whole and the broken ones.

    A file is whole if Pillow reads all of its pixels; the others come with the reason. say: is
    told of a scan that takes long. trial: returns which of some whole files, whose sizes are given,
    another decoder cannot read; it is asked once about each file.
    """
    names = [file.relative_to(root).as_posix() for file in files]
    stamps = [stamp(file) for file in files]
    facts = _remembered(names, stamps, known)
    fresh = [row for row, fact in enumerate(facts) if fact is None]
    broken: dict[int, str] = {}
    for start in range(0, len(fresh), _PART):
        part = fresh[start : start + _PART]
        if len(fresh) > _PART:
            say(f"looking for broken images: {start:,} of {len(fresh):,} files are read")
        rows = {files[row]: row for row in part}
        found, wrong = each(lambda file: (file, inspect(file)), list(rows), workers=workers)
        for file, fact in found:
            facts[rows[file]] = fact
        broken |= {rows[file]: reason for file, reason in wrong}
    whole = [row for row in range(len(files)) if row not in broken]
    scan = Scan(
        tuple(names[row] for row in whole),
        np.array([stamps[row] for row in whole], dtype=np.int64).reshape(-1, 2),
        np.array([facts[row] for row in whole], dtype=np.int64).reshape(-1, 4),
    )
    if trial is not None:
        _try([files[row] for row in whole], scan.facts, trial)
    return scan, [(files[row], broken[row]) for row in sorted(broken)]


def _try(files: Sequence[Path], facts: NDArray[np.int64], trial: Trial) -> None:
    """Mark the files that the other decoder has tried, and those that it cannot read."""
    fresh = np.flatnonzero((facts[:, 3] & TRIED) == 0)
    failed = trial([files[row] for row in fresh.tolist()], facts[fresh, :2])
    facts[fresh, 3] |= TRIED
    facts[fresh[failed], 3] |= BEYOND


def inspect(file: Path) -> Facts:
    """Return (height, width, digest, marks) of a file; ValueError or OSError: no whole image."""
    content = file.read_bytes()
    if not content:
        raise ValueError("the file is empty")
    with opened(BytesIO(content), FORMATS) as image:
        width, height, _ = header(image)
        marks = orientation(image)
        image.load()
        marks |= TRANSPARENT * is_transparent(image)
    digest = hashlib.blake2b(content, digest_size=8).digest()
    return height, width, int.from_bytes(digest, "little", signed=True), marks


def stamp(file: Path) -> Stamp:
    """Return the bytes and the time of a file; (-1, -1) of one that cannot be asked."""
    try:
        found = os.stat(file)
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _remembered(
    names: Sequence[str], stamps: Sequence[Stamp], known: Scan | None
) -> list[Facts | None]:
    """Return the facts of the files that are as they were, None for the others."""
    if known is None:
        return [None] * len(names)
    rows = {name: row for row, name in enumerate(known.names)}
    facts: list[Facts | None] = []
    for name, stamp in zip(names, stamps, strict=True):
        row = rows.get(name)
        same = row is not None and tuple(known.stamps[row].tolist()) == stamp
        facts.append(tuple(known.facts[row].tolist()) if same else None)
    return facts
