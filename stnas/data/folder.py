"""Find the images of a folder that has one folder for each class."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stnas.config.data import DataConfig
from stnas.data.balance import fewer, held_out
from stnas.data.decode import decode, say_left_out, unreadable
from stnas.data.order import Indices, Stream
from stnas.data.parts import find_parts, subfolders
from stnas.data.source import Source
from stnas.data.walk import SUFFIXES, Walk

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
    apart: bool = True
    """Whether test images have a folder of their own."""


def folder_source(root: Path, *, config: DataConfig) -> Source:
    """Make a source of the images that ``list_folder`` finds, decoded when they are read."""
    listing = list_folder(root)
    files, tested = listing.files, listing.test_files

    def whole(rows: Indices, held: Indices) -> tuple[Indices, Indices]:
        if config.broken == "refuse":
            return rows, held
        broken = unreadable([files[i] for i in rows] + [tested[i] for i in held], config=config)
        say_left_out(broken)
        lost = {file for file, _ in broken}
        kept = np.array([i for i in rows if files[i] not in lost], dtype=np.int64)
        held = np.array([i for i in held if tested[i] not in lost], dtype=np.int64)
        check_left(
            listing.labels[kept], listing.test_labels[held], classes=listing.classes, root=root
        )
        return kept, held

    def read(rows: Indices, more: Indices, held: Indices) -> tuple[Tensor, Tensor, Tensor]:
        groups = ([files[i] for i in rows], [files[i] for i in more], [tested[i] for i in held])
        images = decode([file for group in groups for file in group], root=root, config=config)
        first, second, third = torch.split(images, [len(group) for group in groups])
        return first, second, third

    names = listing.classes
    return Source(root.resolve().name, names, listing.labels, listing.test_labels, read, whole)


def check_left(train: Indices, test: Indices, *, classes: Sequence[str], root: Path) -> None:
    """Refuse a class that has no readable images left to train on, and a test split without any."""
    for part, own in (("training", train), ("test", test)):
        missing = np.flatnonzero(np.bincount(own, minlength=len(classes)) == 0)
        if len(own) == 0 or (part == "training" and len(missing) > 0):
            names = ", ".join(classes[c] for c in missing[:20])
            raise ValueError(
                f"{root}: every class must have readable {part} images, got none in {names}: "
                "replace the broken files or remove the class"
            )


def list_folder(root: Path) -> Listing:
    """List the images of ``root/train/<class>`` and ``root/test/<class>`` (or ``val``).

    ``find_parts`` tells which other names these folders may have. Without ``train`` the folders of
    ``root`` are the classes; without ``test`` a fixed 20 % of each class becomes the test split.
    Images may lie in folders within a class folder, and behind links to folders; names that
    begin with a dot are passed over. ValueError: a class folder without images, fewer than two
    classes, or classes that differ between training and test.
    """
    parts = find_parts(root)
    roots = [part for part in parts if part is not None]
    classes = [_class_folders(part, root) for part in roots]
    walk = Walk()
    for folder in (folder for folders in classes for folder in folders):
        walk.add_(folder)
    walk.follow_()
    _say_passed_over(walk, roots)
    names = tuple(folder.name for folder in classes[0])
    files, labels = _labelled(walk, classes[0], part=parts.train)
    if parts.test is None:
        return _divided(names, files, labels, root=root)
    _check_same(classes[0], classes[1], parts.train, parts.test)
    return Listing(names, files, labels, *_labelled(walk, classes[1], part=parts.test))


def _divided(names: tuple[str, ...], files: list[Path], labels: Indices, *, root: Path) -> Listing:
    """Make a fixed share of each class the test split."""
    if small := fewer(labels, names, least=3):
        raise ValueError(
            f"{root}: every class must have at least 3 images where there is no test folder (one "
            f"to train on, one to hold out, one to test with), got {small}: add images, "
            "remove the folder, or put test images into a folder test beside train"
        )
    kept, held = held_out(labels, share=_TEST_SHARE, stream=Stream.TEST, seed=0)
    _LOG.warning(
        "%s has no test folder: a fixed %d %% of each class (%d images) is the test split",
        root,
        100 * _TEST_SHARE,
        len(held),
    )
    return Listing(
        names,
        [files[i] for i in kept],
        labels[kept],
        [files[i] for i in held],
        labels[held],
        apart=False,
    )


def _class_folders(part: Path, root: Path) -> list[Path]:
    """Return the folders of the classes, by name; ValueError: there are fewer than two."""
    folders = subfolders(part)
    if len(folders) < 2:
        inner = len(folders) == 1 and len(subfolders(folders[0])) > 1 and part == root
        repair = (
            f"set --data.path {folders[0]}, which has folders"
            if inner
            else "put the images of each class into a folder of its own"
        )
        raise ValueError(f"{part} must have at least 2 class folders, got {len(folders)}: {repair}")
    return folders


def _labelled(walk: Walk, folders: list[Path], *, part: Path) -> tuple[list[Path], Indices]:
    """Return the files of the classes and their labels; ValueError: a class has none."""
    found = [walk.files[folder] for folder in folders]
    empty = [folder.name for folder, files in zip(folders, found, strict=True) if not files]
    if empty:
        others = f" ({_endings(walk.others)} are passed over)" if walk.others else ""
        raise ValueError(
            f"{part}: every class folder must hold images ({' '.join(SUFFIXES)}), got "
            f"none in {', '.join(empty[:20])}{others}: add images or remove the folder"
        )
    labels = np.repeat(np.arange(len(folders), dtype=np.int64), [len(files) for files in found])
    return [file for files in found for file in files], labels


def _say_passed_over(walk: Walk, parts: Sequence[Path]) -> None:
    """Count the files that are not read, and name the links that were followed or not."""
    if walk.others:
        _LOG.warning(
            "%s: files with other endings than %s are passed over: %s",
            parts[0],
            " ".join(SUFFIXES),
            _endings(walk.others),
        )
    loose = sum(
        entry.suffix.lower() in SUFFIXES and entry.name[0] != "." and entry.is_file()
        for part in parts
        for entry in part.iterdir()
    )
    if loose:
        _LOG.warning("%s: %d images beside the class folders are passed over", parts[0], loose)
    for links, words in (
        (walk.followed, "images behind a link to a folder are read"),
        (walk.refused, "a link is passed over, since it leads to what is read already"),
    ):
        if links:
            more = f" and {len(links) - 8} more" if len(links) > 8 else ""
            _LOG.warning("%s: %s%s", words, ", ".join(str(link) for link in links[:8]), more)


def _endings(others: Counter[str]) -> str:
    """Count files by their endings, the most frequent first."""
    return ", ".join(
        f"{count} {ending or 'without one'}" for ending, count in others.most_common(8)
    )


def _check_same(train: list[Path], test: list[Path], train_root: Path, test_root: Path) -> None:
    """Refuse class folders that only one of the two splits has."""
    only = sorted({folder.name for folder in train} ^ {folder.name for folder in test})
    if only:
        raise ValueError(
            f"{train_root} and {test_root} must have the same class folders, got "
            f"{', '.join(only[:8])} in one of them alone: add or remove it"
        )
