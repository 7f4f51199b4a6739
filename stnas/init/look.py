"""Look at labelled images: classes, counts, sizes, colours, and files that are broken."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stnas.config.data import DataConfig
from stnas.data.decode import GREY, each, header, opened
from stnas.data.folder import Listing, list_folder
from stnas.data.idx import is_idx_folder
from stnas.data.loading import open_source
from stnas.data.order import Indices
from stnas.data.showing import is_transparent, shown_size

MOST = 20_000
"""Files whose pixels are read; of more, so many that are spread evenly."""
Facts = tuple[int, int, bool, bool]


@dataclass(frozen=True, eq=False)
class Findings:
    """What labelled images are like.

    counts, tested: whole images of each class to train on and to test with ``[K]``. sizes: height
    and width of those that were looked at ``[n, 2]``. transparent: images that show a background.
    apart: whether test images lie in a folder of their own. broken: files with their reasons.
    """

    name: str
    classes: tuple[str, ...]
    counts: Indices
    tested: Indices
    sizes: Indices
    grey: bool
    files: bool
    transparent: int = 0
    apart: bool = True
    broken: tuple[tuple[Path, str], ...] = ()

    @property
    def unequal(self) -> float:
        """Return how many times the largest class is larger than the smallest."""
        return float(self.counts.max() / max(1, self.counts.min()))


def look(config: DataConfig) -> Findings:
    """Look at what ``data.path`` names; ValueError: it is no data set of ours."""
    root = Path(config.path).expanduser()
    if config.path in ("auto", "embedded") or not root.is_dir() or is_idx_folder(root):
        return of_arrays(config)
    return of_files(list_folder(root), root, config)


def of_arrays(config: DataConfig) -> Findings:
    """Look at images in arrays, which have one size."""
    source = open_source(config)
    none = np.zeros(0, dtype=np.int64)
    first, _, _ = source.read(np.zeros(1, dtype=np.int64), none, none)
    classes = len(source.classes)
    return Findings(
        name=source.name,
        classes=source.classes,
        counts=np.bincount(source.train_labels, minlength=classes),
        tested=np.bincount(source.test_labels, minlength=classes),
        sizes=np.array([first.shape[2:]], dtype=np.int64),
        grey=first.shape[1] == 1,
        files=False,
    )


def of_files(listing: Listing, root: Path, config: DataConfig) -> Findings:
    """Look at image files."""
    files = [*listing.files, *listing.test_files]
    found, broken = each(lambda file: facts(file, config), spread(files))
    if not found:
        raise ValueError(f"{root} must hold images that can be read, got none: replace them")
    lost = {file for file, _ in broken}
    counted = (
        np.bincount(
            labels[[file not in lost for file in own]].astype(np.int64),
            minlength=len(listing.classes),
        )
        for own, labels in (
            (listing.files, listing.labels),
            (listing.test_files, listing.test_labels),
        )
    )
    counts, tested = counted
    heights, widths, grey, transparent = zip(*found, strict=True)
    return Findings(
        name=root.resolve().name,
        classes=listing.classes,
        counts=counts,
        tested=tested,
        sizes=np.array([heights, widths], dtype=np.int64).T,
        grey=all(grey),
        files=True,
        transparent=sum(transparent),
        apart=listing.apart,
        broken=tuple(broken),
    )


def spread(files: Sequence[Path]) -> list[Path]:
    """Take all of some files, or MOST of them, evenly spread."""
    if len(files) <= MOST:
        return list(files)
    return [files[i * len(files) // MOST] for i in range(MOST)]


def facts(file: Path, config: DataConfig) -> Facts:
    """Return (height, width, grey, transparent) of a file; ValueError or OSError: it is broken."""
    with opened(file) as image:
        width, height = shown_size(image, config)
        mode = header(image)[2]
        image.load()
        return height, width, mode in GREY, is_transparent(image)
