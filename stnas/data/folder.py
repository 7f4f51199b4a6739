"""Find the images of a folder that has one folder for each class."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stnas.data.balance import held_out
from stnas.data.decode import decode
from stnas.data.order import Indices, Stream
from stnas.data.source import Source

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif")
_TEST_SHARE = 0.2
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Listing:
    """Name the image files of a folder and their labels, in a fixed order."""

    classes: tuple[str, ...]
    files: list[Path]
    labels: Indices
    test_files: list[Path]
    test_labels: Indices


def folder_source(root: Path, *, image_size: int | None) -> Source:
    """Make a source of the images that ``list_folder`` finds, decoded when they are read."""
    listing = list_folder(root)

    def read(rows: Indices, more: Indices, held: Indices) -> tuple[Tensor, Tensor, Tensor]:
        files, tested = listing.files, listing.test_files
        groups = ([files[i] for i in rows], [files[i] for i in more], [tested[i] for i in held])
        images = decode(
            [file for group in groups for file in group], root=root, image_size=image_size
        )
        first, second, third = torch.split(images, [len(group) for group in groups])
        return first, second, third

    return Source(root.resolve().name, listing.classes, listing.labels, listing.test_labels, read)


def list_folder(root: Path) -> Listing:
    """List the images of ``root/train/<class>`` and ``root/test/<class>`` (or ``val``).

    Without ``train`` the folders of ``root`` are the classes; without ``test`` a fixed 20 % of
    each class becomes the test split. Images may lie in folders within a class folder; names that
    begin with a dot are passed over. ValueError: a class folder without images, fewer than two
    classes, or classes that differ between training and test.
    """
    train_root = root / "train" if (root / "train").is_dir() else root
    test_root = _test_root(root) if train_root != root else None
    classes, files, labels = _list(train_root)
    if test_root is not None:
        test_classes, test_files, test_labels = _list(test_root)
        _check_same(classes, test_classes, train_root, test_root)
    else:
        kept, held = held_out(labels, share=_TEST_SHARE, stream=Stream.TEST, seed=0)
        test_files, test_labels = [files[i] for i in held], labels[held]
        files, labels = [files[i] for i in kept], labels[kept]
        _LOG.warning(
            "%s has no test folder: a fixed %d %% of each class (%d images) is the test split",
            root,
            100 * _TEST_SHARE,
            len(test_files),
        )
    return Listing(classes, files, labels, test_files, test_labels)


def _test_root(root: Path) -> Path | None:
    """Return the folder of the test images, ``test`` before ``val``."""
    found = [root / name for name in ("test", "val") if (root / name).is_dir()]
    if len(found) == 2:
        _LOG.warning(
            "%s is not used: %s is the test split, and the validation split is held out "
            "of the training images",
            found[1],
            found[0],
        )
    return found[0] if found else None


def _list(root: Path) -> tuple[tuple[str, ...], list[Path], Indices]:
    """Return the classes of ``root`` in the order of their names, the files and their labels."""
    folders = sorted(
        entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    if len(folders) < 2:
        raise ValueError(
            f"{root} must have at least 2 class folders, got {len(folders)}: put the "
            "images of each class into a folder of its own"
        )
    found = [_images(folder) for folder in folders]
    empty = [folder.name for folder, files in zip(folders, found, strict=True) if not files]
    if empty:
        raise ValueError(
            f"{root}: every class folder must hold images ({' '.join(SUFFIXES)}), got "
            f"none in {', '.join(empty[:20])}: add images or remove the folder"
        )
    labels = np.repeat(np.arange(len(folders), dtype=np.int64), [len(files) for files in found])
    return tuple(f.name for f in folders), [file for files in found for file in files], labels


def _images(folder: Path) -> list[Path]:
    """Return the image files below ``folder``, sorted; others are counted in a warning."""
    files: list[Path] = []
    other = 0
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.startswith("."):
                continue
            if name.lower().endswith(SUFFIXES):
                files.append(Path(place, name))
            else:
                other += 1
    if other:
        _LOG.warning(
            "%s: %d files with other endings than %s are passed over",
            folder,
            other,
            " ".join(SUFFIXES),
        )
    return sorted(files, key=lambda file: file.relative_to(folder).as_posix())


def _check_same(
    train: tuple[str, ...], test: tuple[str, ...], train_root: Path, test_root: Path
) -> None:
    """Refuse class folders that only one of the two splits has."""
    if train != test:
        only = sorted(set(train) ^ set(test))[:8]
        raise ValueError(
            f"{train_root} and {test_root} must have the same class folders, got "
            f"{', '.join(only)} in one of them alone: add or remove it"
        )
