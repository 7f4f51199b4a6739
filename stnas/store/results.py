"""``result.json`` of every stage, and what it holds: one definition for writers and readers."""

from typing import Any, NotRequired, TypedDict

from stnas.store.rows import (
    CandidateRow,
    ChoiceRow,
    ComparedRow,
    EstimateRow,
    JudgedRow,
    NetworkRow,
    UnmetRow,
)


class PosteriorRow(TypedDict):
    """How well the samples of a chain know how sure they are, and how often each beats each."""

    bins: list[dict[str, Any]]
    brier: float | None
    better: list[list[float]]


class WindowRow(TypedDict):
    """How many candidates lie in the window below a limit."""

    limit: float
    low: float
    unit: str
    evaluated: int


class ModelRow(TypedDict):
    """How far a model of a verdict's short trainings could be trusted, after some of them."""

    trained: int
    error: float
    error_of_score: float
    used: bool


class FieldRow(TypedDict):
    """The candidates of a limit in a verdict, the winner first, and the models that chose them."""

    limit: float
    low: float
    ranking: list[CandidateRow]
    models: NotRequired[list[ModelRow]]


class DataRow(TypedDict):
    """The images that a hyper-network was trained on."""

    name: str
    fingerprint: str
    classes: list[str]
    mean: list[float]
    std: list[float]
    train: int
    validation: int
    test: int


class FrontFile(TypedDict):
    """``front.json``: the front, and how many were evaluated."""

    front: list[CandidateRow]
    evaluated: NotRequired[int]
    random: NotRequired[int]


class TrainResult(TypedDict):
    """``train/result.json``; derived: the cell of a search by gradients, by alpha and beta."""

    seconds: float
    epochs: int
    space: dict[str, Any]
    p_drop: float
    expected_madds: float
    data: DataRow
    derived: NotRequired[str]
    alpha: NotRequired[list[list[float]]]
    beta: NotRequired[list[float]]


class SgldResult(TypedDict):
    """``sgld/result.json``."""

    seconds: float
    samples: int


class TruthRow(TypedDict):
    """What a public table has of a cell: its accuracy, its place among all, and theirs."""

    table: str
    accuracy: float
    best: float
    median: float
    place: int
    cells: int


class SearchFindings(TypedDict):
    """What a search chose; random: of the random candidates that it is held against.

    truth: of the cell that training derived.
    """

    evaluated: int
    choices: list[ChoiceRow]
    unmet: NotRequired[list[UnmetRow]]
    windows: NotRequired[list[WindowRow]]
    hypervolume: NotRequired[float]
    random: NotRequired[dict[str, float]]
    truth: NotRequired[list[TruthRow]]


class SearchResult(SearchFindings):
    """``search/result.json``."""

    seconds: float


class VerdictResult(TypedDict):
    """``verdict/result.json``; ends: the epochs after which the rungs end."""

    seconds: float
    ends: list[int]
    candidates: list[FieldRow]
    judged: list[JudgedRow]
    choices: list[ChoiceRow]
    unmet: list[UnmetRow]


class RankFindings(TypedDict):
    """What a ranking found."""

    architectures: list[ComparedRow]
    table: list[EstimateRow]
    posterior: dict[str, PosteriorRow]


class RankResult(RankFindings):
    """``rank/result.json``; failed: why a way has no scores."""

    seconds: float
    failed: NotRequired[dict[str, str]]


class RetrainResult(TypedDict):
    """``retrain/result.json``."""

    seconds: float
    networks: list[NetworkRow]


RESULTS: dict[str, Any] = {
    "train": TrainResult,
    "sgld": SgldResult,
    "search": SearchResult,
    "verdict": VerdictResult,
    "rank": RankResult,
    "retrain": RetrainResult,
}
"""What the ``result.json`` of each stage holds."""
