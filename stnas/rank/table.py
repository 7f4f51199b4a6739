"""The ground truth of a public table: accuracies that are known without a training."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from stnas.space import Genotype, Genotypes, SearchSpace
from stnas.space.genotype import TEXT
from stnas.store.bench import NAMES, bench_table
from stnas.store.journal import Journal

ACCURACIES = ("test_acc", "accuracies", "accuracy", "mean_acc")
"""Where an entry that is an object has its accuracies, the first that is there."""


class TableTruth:
    """Gives the accuracies that a table holds of architectures ``[n, genes]``; nothing is trained.

    The other methods are those of ``Truth``.
    """

    def __init__(self, table: dict[bytes, list[float]], genotypes: Genotypes) -> None:
        self.accuracies = [table[row.tobytes()] for row in genotypes]

    def __len__(self) -> int:
        return 0

    def work_(self, journal: Journal) -> None:
        """Say where the accuracies are from."""
        journal.say(f"rank: {len(self.accuracies):,} accuracies are those of rank.table")

    def complete_(self, journal: Journal) -> list[list[float]]:
        """Return the accuracies of each architecture, one a training."""
        return self.accuracies


def read_table(file: Path, space: SearchSpace) -> dict[bytes, list[float]]:
    """Read the accuracies of architectures, in [0, 1], by their genes.

    A word of ``stnas.store.bench``, for NAS-Bench-201; a JSON object, or an ``.npz`` with ``keys``
    (text) and ``accuracies`` ``[n]`` or ``[n, seeds]``.
    A key is a genotype's text, or its genes, a base-36 digit each; a value of the JSON object is a
    number, a list of one a training, or an object with one of these as ``test_acc``,
    ``accuracies``, ``accuracy`` or ``mean_acc``. Where a number is above 1, all are per cent.
    Raises ValueError that names the key for anything else; nothing in the file is executed.
    """
    if str(file) in NAMES:
        known_cells(file, space)
        entries = bench_table(str(file))
        rows = {space.parse_digits(key).tobytes(): values for key, values in entries.items()}
        return {genes: [value / 100 for value in values] for genes, values in rows.items()}
    if not file.is_file():
        raise FileNotFoundError(
            f"rank.table must be a JSON or .npz file of accuracies, or one of {', '.join(NAMES)}, "
            f"got {file}, which is no file: correct the path"
        )
    entries = npz_entries(file) if file.suffix == ".npz" else json_entries(file)
    known = {genes_of(key, space, file).tobytes(): value for key, value in entries.items()}
    if len(known) < 4:
        raise ValueError(
            f"rank.table must hold 4 architectures or more, got {len(known)} in {file}: a ranking "
            "of fewer says nothing; add some"
        )
    scale = 100.0 if any(max(values) > 1 for values in known.values()) else 1.0
    return {genes: [value / scale for value in values] for genes, values in known.items()}


def known_cells(file: Path, space: SearchSpace) -> None:
    """Raise ValueError for a table of NAS-Bench-201 and a space of other networks."""
    if space.recipe.get("family") != "nb201":
        raise ValueError(
            f"rank.table {file} is of the cells of NAS-Bench-201, got space.family "
            f"{space.recipe.get('family', 'topology')}: train with --space.family nb201"
        )


def rows_of(table: dict[bytes, list[float]]) -> Genotypes:
    """Return the architectures of a table ``[n, genes]``."""
    return np.stack([np.frombuffer(genes, np.int8) for genes in table])


def json_entries(file: Path) -> dict[str, list[float]]:
    """Read the accuracies of a JSON object by their keys."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"rank.table must be JSON or .npz, got {file}, which is neither ({error}): pickled "
            "tables are not read, since reading them runs what they hold; write them as JSON"
        ) from error
    if not isinstance(found, dict):
        raise ValueError(
            f"rank.table must hold a JSON object of accuracies by genotype, got a "
            f"{type(found).__name__} in {file}: write one"
        )
    return {key: values_of(key, value, file) for key, value in found.items()}


def values_of(key: str, value: Any, file: Path) -> list[float]:
    """Return the accuracies that an entry of a JSON object holds."""
    if isinstance(value, dict):
        value = next((value[name] for name in ACCURACIES if name in value), None)
    values = value if isinstance(value, list) else [value]
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    return checked(key, numbers if len(numbers) == len(values) else [], file)


def npz_entries(file: Path) -> dict[str, list[float]]:
    """Read the accuracies of an .npz by their keys."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            keys, accuracies = arrays["keys"], arrays["accuracies"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ValueError(
            f"rank.table must be an .npz with keys (text) and accuracies (numbers), got {file} "
            f"({error}): write these two arrays; pickled ones are not read"
        ) from error
    table: NDArray[Any] = accuracies.reshape(len(accuracies), -1) if accuracies.ndim else accuracies
    if keys.ndim != 1 or accuracies.ndim not in (1, 2) or len(keys) != len(table):
        raise ValueError(
            f"rank.table must have keys [n] and accuracies [n] or [n, seeds], got shapes "
            f"{list(keys.shape)} and {list(accuracies.shape)} in {file}: write one row a key"
        )
    return {
        str(key): checked(str(key), [float(value) for value in row], file)
        for key, row in zip(keys, table, strict=True)
    }


def checked(key: str, values: Sequence[float], file: Path) -> list[float]:
    """Return accuracies as floats; ValueError unless there are some, from 0 to 100."""
    if not values or not all(0 <= value <= 100 for value in values):
        raise ValueError(
            f"rank.table must give accuracies from 0 to 1, or from 0 to 100 %, got none such for "
            f"{key!r} in {file}: correct the entry"
        )
    return [float(value) for value in values]


def genes_of(key: str, space: SearchSpace, file: Path) -> Genotype:
    """Read a key, the text of a genotype or its genes."""
    try:
        return space.parse(key) if TEXT.fullmatch(key) else space.parse_digits(key)
    except ValueError as error:
        raise ValueError(
            f"rank.table must have genotypes of the run's space as keys, got {key!r} in {file} "
            f"({error}): choose the space of the table, or correct the key"
        ) from error
