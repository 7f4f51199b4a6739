"""List the image files below folders, those behind links to folders too, each folder once."""

import os
from collections import Counter
from pathlib import Path

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif")
Identity = tuple[int, int]


class Walk:
    """Collects the image files below some folders; names that begin with a dot are passed over.

    A link to a folder is followed when all that lies below the folders themselves is listed, unless
    it leads to a folder that is listed already or that holds the folders: so every folder is
    listed once, in its own place if it has one, and loops end.
    """

    def __init__(self) -> None:
        self.files: dict[Path, list[Path]] = {}
        """Images below each folder that was asked for, by the paths below it."""
        self.others: Counter[str] = Counter()
        """Files that are passed over, by their endings."""
        self.followed: list[Path] = []
        self.refused: list[Path] = []
        """Links that lead to what is listed already."""
        self._seen: set[Identity] = set()
        self._links: list[tuple[Path, Path]] = []

    def add_(self, folder: Path) -> None:
        """List what lies below a folder itself; its links wait for ``follow_``."""
        self.files.setdefault(folder, [])
        place = folder.resolve()
        self._seen |= {_identity(each) for each in (place, *place.parents)}
        self._list(folder, folder)

    def follow_(self) -> None:
        """List what lies behind the links, and sort the files of each folder by their paths."""
        while self._links:
            waiting, self._links = sorted(self._links, key=lambda pair: pair[1]), []
            for folder, link in waiting:
                if (known := _identity(link)) in self._seen:
                    self.refused.append(link)
                    continue
                self._seen.add(known)
                self.followed.append(link)
                self._list(folder, link)
        for folder, files in self.files.items():
            files.sort(key=lambda file: file.relative_to(folder).as_posix())

    def _list(self, folder: Path, start: Path) -> None:
        """List the files below ``start``, which belong to ``folder``."""
        for place, folders, names in os.walk(start):
            kept = []
            for name in folders:
                path = Path(place, name)
                if name.startswith("."):
                    continue
                if path.is_symlink():
                    self._links.append((folder, path))
                elif start is folder or _identity(path) not in self._seen:
                    self._seen.add(_identity(path))
                    kept.append(name)
            folders[:] = kept
            for name in names:
                if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                    self.files[folder].append(Path(place, name))
                elif not name.startswith("."):
                    self.others[Path(name).suffix.lower()] += 1


def _identity(folder: Path) -> Identity:
    """Return what a folder is known by, whatever path leads to it."""
    found = folder.stat()
    return found.st_dev, found.st_ino
