"""The rows that stages leave on disk: one definition for who writes them and who reads them.

A key that a release began to write later is not required, so that older runs are read. Costs of
a space of one's own stand in a row by their names, besides.
"""

from pathlib import Path
from typing import Any, NotRequired, TypedDict, TypeVar, cast

Row = TypeVar("Row")


class Sized(TypedDict):
    """A network: the text of its genotype, and what it costs."""

    genotype: str
    madds: int
    params: int


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

    role: ``chosen``, ``random`` or ``baseline``. The accuracies before training are those under
    the shared weights, None of a hand-made network.
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


def check_keys(row: Any, keys: tuple[str, ...], path: Path) -> None:
    """Refuse what is no row, or lacks one of ``keys``."""
    missing = [key for key in keys if not isinstance(row, dict) or key not in row]
    if missing:
        raise ValueError(
            f"{path} must hold {', '.join(keys)}, got none of {', '.join(missing)}: "
            "delete it and run its stage again"
        )


def typed_row(kind: type[Row], row: Any, path: Path) -> Row:
    """Return a row of a kind; ValueError names the file and what the row lacks."""
    required: frozenset[str] = kind.__required_keys__  # type: ignore[attr-defined]
    check_keys(row, tuple(name for name in kind.__annotations__ if name in required), path)
    return cast(Row, row)


def typed_rows(kind: type[Row], rows: Any, path: Path) -> list[Row]:
    """Return a list of rows that are all of a kind."""
    if not isinstance(rows, list):
        raise ValueError(
            f"{path} must hold a list of rows, got {type(rows).__name__}: delete it "
            "and run its stage again"
        )
    return [typed_row(kind, row, path) for row in rows]
