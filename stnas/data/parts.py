"""Tell the folders of the training and of the test images of a data set from its classes."""

import logging
import re
from pathlib import Path
from typing import NamedTuple

_NAME = re.compile(
    r"(?:(?P<train>train(?:ing)?)|(?P<test>test(?:ing)?)|(?P<val>val(?:id(?:ation)?)?))"
    r"(?:set|data|images|split)*"
)
_PLAIN = ("train", "test", "val")
_LOG = logging.getLogger(__name__)


class Parts(NamedTuple):
    """The folder whose folders are the classes, and that of the test images, if there is one."""

    train: Path
    test: Path | None


def subfolders(folder: Path) -> list[Path]:
    """List the folders in a folder by name, links to folders too; a dot at the front hides one."""
    found = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return sorted(entry for entry in found if entry.is_dir())


def role(name: str) -> str | None:
    """Return ``train``, ``test`` or ``val`` for a name like ``Training_Set``, else None."""
    found = _NAME.fullmatch(re.sub(r"[-_. ]", "", name.lower()))
    return found and found.lastgroup


def find_parts(root: Path) -> Parts:
    """Find the parts of a folder, by names like ``train``, ``Test``, ``test_set`` or ``valid``.

    ``test`` goes before ``val``. A part holds folders. A training folder with a name of its own
    kind (``Training``) needs a test folder beside it; without one it is a class like the others.
    Doubts are logged. ValueError: there are parts, and images lie in them without class folders.
    """
    folders = subfolders(root)
    found = {word: _named(folders, word) for word in _PLAIN}
    train, tests = found["train"][:1], found["test"] + found["val"]
    if not train or not (tests or train[0].name == "train"):
        _say_classes([*train, *tests], root)
        return Parts(root, None)
    flat = [part for part in (*train, *tests[:1]) if not subfolders(part)]
    if flat and not tests:
        _say_classes(train, root)
        return Parts(root, None)
    if flat:
        raise ValueError(
            f"{flat[0]} must hold one folder of images for each class, got none: put the images "
            "of each class into a folder of its own there"
        )
    parts = Parts(_unwrapped(train[0]), _unwrapped(tests[0]) if tests else None)
    _say_parts(parts, root, others=[x for x in folders if x not in (train[0], *tests[:1])])
    return parts


def _named(folders: list[Path], word: str) -> list[Path]:
    """List the folders whose names mean a part; the plain name, then the others."""
    meant = (folder for folder in folders if role(folder.name) == word)
    return sorted(meant, key=lambda folder: folder.name != word)


def _unwrapped(part: Path) -> Path:
    """Return the folder in a part that holds nothing but a folder of the same meaning."""
    inner = subfolders(part)
    same = len(inner) == 1 and role(inner[0].name) == role(part.name)
    return inner[0] if same else part


def _say_classes(parts: list[Path], root: Path) -> None:
    """Tell which folders are taken for classes though their names could mean a part."""
    if parts:
        _LOG.warning(
            "%s: %s taken for %s; if it holds images to train on or to test with, name the two "
            "folders train and test and put one folder a class into each",
            root,
            _names(parts) + (" is" if len(parts) == 1 else " are"),
            "a class" if len(parts) == 1 else "classes",
        )


def _say_parts(parts: Parts, root: Path, *, others: list[Path]) -> None:
    """Tell which folders are which where their names leave a doubt, and which are not used."""
    train, test = parts
    if test is not None and {train.name, test.name} - set(_PLAIN):
        _LOG.warning("%s has the training images, %s the test images", train, test)
    if others:
        why = "" if test is None else f": {test} is the test split, and the validation split is "
        why += "" if test is None else "held out of the training images"
        _LOG.warning(
            "%s: %s %s not used%s", root, _names(others), "is" if len(others) == 1 else "are", why
        )


def _names(folders: list[Path]) -> str:
    """Name the first folders, and count the others."""
    more = f" and {len(folders) - 8} more" if len(folders) > 8 else ""
    return ", ".join(folder.name for folder in folders[:8]) + more
