"""Look at every image file once before anything is trained: size, content, and the broken ones."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stnas.data.decode import each, header, opened

FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
"""Formats that every backend decodes to the same pixels, animations excepted."""
_PART = 8192
Say = Callable[[str], None]
Stamp = tuple[int, int]
Facts = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Scan:
    """Hold what is known of ``n`` whole image files, to be kept from one start to the next."""

    names: tuple[str, ...]
    """Paths below the folder."""
    stamps: NDArray[np.int64]
    """Bytes and time of the last change in nanoseconds ``[n, 2]``: both the same, same file."""
    facts: NDArray[np.int64]
    """Height, width and digest of the content ``[n, 3]``."""


def scan_files(
    files: Sequence[Path], *, root: Path, known: Scan | None, workers: int | None, say: Say
) -> tuple[Scan, list[tuple[Path, str]]]:
    """Decode every file that ``known`` does not vouch for; return the whole and the broken ones.

    A file is whole if Pillow reads all of its pixels; the others come with the reason. say: is
    told of a scan that takes long.
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
        np.array([facts[row] for row in whole], dtype=np.int64).reshape(-1, 3),
    )
    return scan, [(files[row], broken[row]) for row in sorted(broken)]


def inspect(file: Path) -> Facts:
    """Return (height, width, digest) of a file; ValueError or OSError: it is no whole image."""
    content = file.read_bytes()
    if not content:
        raise ValueError("the file is empty")
    with opened(BytesIO(content), FORMATS) as image:
        width, height, _ = header(image)
        image.load()
    digest = hashlib.blake2b(content, digest_size=8).digest()
    return height, width, int.from_bytes(digest, "little", signed=True)


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
