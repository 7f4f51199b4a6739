"""The rows that stages leave on disk: one definition for who writes them and who reads them.

A key that a release began to write later is not required, so that older runs are read; one that
is not defined here was written by a later release, and is refused by its name. Costs of a space of
one's own stand in a row by their names, besides.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any, NotRequired, TypedDict, TypeVar, cast

from stnas import __version__

Row = TypeVar("Row")
AROUND = ("version", "origin", "files")
"""Keys that any file and its rows may have: of their format, of what they belong to."""


class Sized(TypedDict):
    """A network: the text of its genotype, and what it costs; latency: where it was searched by."""

    genotype: str
    madds: int
    params: int
    latency: NotRequired[float]


class CandidateRow(Sized):
    """A line of the archive: what was evaluated under the shared weights, and when."""

    accuracy: float
    loss: float
    generation: int
    balanced_accuracy: NotRequired[float | None]


class ChoiceRow(CandidateRow):
    """The best candidate under a limit; of a verdict also what the winner reached there."""

    name: str
    limit: float
    verdict_accuracy: NotRequired[float | None]
    verdict_loss: NotRequired[float | None]
    verdict_epochs: NotRequired[int | None]


class UnmetRow(TypedDict):
    """A limit without a network of its own, and why."""

    limit: float
    reason: str


class JudgedRow(TypedDict):
    """What a candidate of the verdict reached on held-out images at the end of a rung."""

    genotype: str
    rung: int
    epochs: int
    accuracy: float
    loss: float
    seconds: float
    balanced_accuracy: NotRequired[float]
    origin: NotRequired[str]


class NetworkRow(Sized):
    """A network that was trained on its own: ``network.json``.

    role: ``chosen``, ``random``, ``baseline``, ``scaled`` (a choice with other channels), or
    ``again``, of one that is trained once more. The accuracies before training are those under the
    shared weights, None of a network that has none there.
    """

    name: str
    role: str
    validation_accuracy: float | None
    test_accuracy_before: float | None
    test_accuracy: float
    seconds: float
    history: list[dict[str, float]]
    space: dict[str, Any]
    classes: list[str]
    mean: list[float]
    std: list[float]
    validation_balanced_accuracy: NotRequired[float | None]
    test_balanced_accuracy_before: NotRequired[float | None]
    test_balanced_accuracy: NotRequired[float]
    test_recalls: NotRequired[list[float | None]]


class TrainingRow(TypedDict):
    """What one training of the ground truth reached on the test images."""

    genotype: str
    seed: int
    accuracy: float
    seconds: float
    origin: str


class ScoreRow(TypedDict):
    """A line of ``scores.jsonl``: architectures by their places, scored with some weights."""

    way: str
    weights: str
    statistics: str
    rows: list[int]
    accuracy: list[float]
    loss: list[float]


class ComparedRow(Sized):
    """An architecture of a ranking; truth: its test accuracies from scratch, by seed."""

    truth: list[float]


class EstimateRow(TypedDict):
    """How far one way of scoring agrees with the truth; None where a figure is not defined."""

    way: str
    form: str
    n: int
    tau: float | None
    tau_low: float | None
    tau_high: float | None
    statistics: NotRequired[str]
    measure: NotRequired[str]
    spearman: NotRequired[float | None]
    top_precision: NotRequired[float | None]
    band_tau: NotRequired[float | None]
    regret: NotRequired[float | None]
    gain_low: NotRequired[float | None]
    gain_high: NotRequired[float | None]


def check_keys(row: Any, keys: tuple[str, ...], path: Path) -> None:
    """Refuse what is no row, or lacks one of ``keys``."""
    missing = [key for key in keys if not isinstance(row, dict) or key not in row]
    if missing:
        raise ValueError(
            f"{path} must hold {', '.join(keys)}, got none of {', '.join(missing)}: "
            "delete it and run its stage again"
        )


def typed_row(kind: type[Row], row: Any, path: Path, *, costs: Collection[str] = ()) -> Row:
    """Return a row of a kind; ValueError names the file and what the row lacks, or has besides.

    costs: names of a space's costs, which may stand in the row, too.
    """
    required: frozenset[str] = kind.__required_keys__  # type: ignore[attr-defined]
    check_keys(row, tuple(name for name in kind.__annotations__ if name in required), path)
    known = {*kind.__annotations__, *AROUND, *costs}
    if later := [name for name in row if name not in known]:
        raise ValueError(
            f"{path} must hold what stnas {__version__} knows, got {', '.join(later)} of a later "
            "release: upgrade stnas, or delete it and its stage's result.json and run that stage "
            "again; what is whole is kept"
        )
    return cast(Row, row)


def typed_rows(kind: type[Row], rows: Any, path: Path, *, costs: Collection[str] = ()) -> list[Row]:
    """Return a list of rows that are all of a kind."""
    if not isinstance(rows, list):
        raise ValueError(
            f"{path} must hold a list of rows, got {type(rows).__name__}: delete it "
            "and run its stage again"
        )
    return [typed_row(kind, row, path, costs=costs) for row in rows]
