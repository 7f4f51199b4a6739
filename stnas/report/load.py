"""Load what the stages left in a run folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import nan
from pathlib import Path
from typing import Any, TypeVar, cast

from stnas.space import SearchSpace
from stnas.space.distribution import CostDistribution
from stnas.store.checksum import DamagedError, damaged
from stnas.store.complete import check_together, read_result
from stnas.store.console import warn
from stnas.store.files import read_json, read_rows, scan_rows
from stnas.store.results import DataRow, FieldRow, FrontFile, PosteriorRow
from stnas.store.rows import (
    CandidateRow,
    ChoiceRow,
    ComparedRow,
    EstimateRow,
    JudgedRow,
    NetworkRow,
    ScoreRow,
    typed_row,
    typed_rows,
)
from stnas.store.settings import check_settings, values_of

Row = Mapping[str, Any]
Kind = TypeVar("Kind")
STAGES = ("train", "sgld", "search", "retrain")
OPTIONAL = ("verdict", "rank")
"""Stages that the page shows where they are complete, and does not miss where they are not."""
Names = tuple[str, ...]


@dataclass(frozen=True)
class Ranking:
    """What the stage ``rank`` found.

    architectures: those that were trained from scratch, by rising MAdds. table: figures of every
    estimator. posterior: calibration and pairwise probabilities by way. failed: why a way has no
    scores. scores: rows of ``scores.jsonl``.
    """

    architectures: list[ComparedRow]
    table: list[EstimateRow]
    posterior: dict[str, Row]
    failed: dict[str, str]
    scores: list[ScoreRow]

    @property
    def ways(self) -> list[str]:
        """List the ways of scoring, in the order of the table."""
        rows = [row for row in self.table if row["form"] not in ("baseline", "ceiling")]
        return list(dict.fromkeys(row["way"] for row in rows))

    @property
    def truth(self) -> list[float]:
        """Return the mean test accuracy of each architecture over its trainings from scratch."""
        return [sum(row["truth"]) / len(row["truth"]) for row in self.architectures]

    def scored(self) -> dict[tuple[str, str], list[float]]:
        """Return the recalibrated accuracies of all architectures by way and weights."""
        found: dict[tuple[str, str], dict[int, float]] = {}
        for row in self.scores:
            if row["statistics"] == "own":
                known = found.setdefault((row["way"], row["weights"]), {})
                known.update(zip(row["rows"], row["accuracy"], strict=True))
        count = range(len(self.architectures))
        whole = {key: known for key, known in found.items() if known.keys() == set(count)}
        return {key: [known[i] for i in count] for key, known in whole.items()}


@dataclass(frozen=True)
class Record:
    """Everything that the page shows, as plain values.

    folder: of the run. results: ``result.json`` of the stages that are complete. archive, front:
    evaluated architectures. choices, networks: empty until their stage is complete. ranking: None
    until then. metrics: rows of ``metrics.jsonl``.
    """

    name: str
    folder: Path
    config: str
    space: SearchSpace
    results: dict[str, Row]
    metrics: list[Row]
    archive: list[CandidateRow]
    front: list[CandidateRow]
    choices: list[ChoiceRow]
    networks: list[NetworkRow]
    ranking: Ranking | None

    @property
    def train(self) -> Row:
        """Return the result of training, which is always there."""
        return self.results["train"]

    @cached_property
    def distribution(self) -> CostDistribution:
        """Return the distribution of the MAdds of the sampler's architectures."""
        return self.space.madds_distribution(self.train["p_drop"])

    @property
    def madds_target(self) -> float | None:
        """Return the MAdds target that p_drop was solved from, if one was configured."""
        target = self.setting("train.madds", None)
        return float(target) if isinstance(target, int | float) else None

    def setting(self, key: str, default: Any) -> Any:
        """Return the value of a key that the run was made with."""
        return values_of(self.config, "config.yaml").get(key, default)


def load_record(folder: Path) -> Record:
    """Load a run folder; stages that are not complete are left out.

    FileNotFoundError: training is not complete. ValueError: a file lacks what it must hold.
    """
    shown = [stage for stage in (*STAGES, *OPTIONAL) if _done(folder, stage)]
    results: dict[str, Row] = {stage: read_result(folder, stage) for stage in shown}
    check_together(folder, shown)
    if "train" not in results:
        raise FileNotFoundError(
            f"{folder / 'train' / 'result.json'} is missing, so there is nothing to report: run "
            f"`stnas train --run {folder}` first"
        )
    if "verdict" in results:
        _check_verdict(results["verdict"], folder / "verdict" / "result.json")
    typed_row(DataRow, results["train"]["data"], folder / "train" / "result.json")
    config, front = folder / "config.yaml", folder / "search" / "front.json"
    archive = folder / "search" / "archive.jsonl"
    space = SearchSpace.from_json(results["train"]["space"])
    costs = tuple(space.costs)
    return Record(
        name=folder.resolve().name,
        folder=folder,
        config=check_settings(config) if config.exists() else "",
        space=space,
        results=results,
        metrics=_metrics(folder),
        archive=_archive(archive, results.get("search", {}).get("evaluated"), costs),
        front=_front(front, costs) if "search" in results else [],
        choices=_choices(results, folder, costs),
        networks=_of(results, folder, "retrain", "networks", NetworkRow, costs),
        ranking=_ranking(results["rank"], folder / "rank") if "rank" in results else None,
    )


def _choices(results: dict[str, Row], folder: Path, costs: Names) -> list[ChoiceRow]:
    """Return the choices that were retrained: the verdict's, the search's, or those asked for.

    Without retrained networks, the last choices that were made.
    """
    networks = _of(results, folder, "retrain", "networks", NetworkRow, costs)
    trained = [row for row in networks if row["role"] == "chosen"]
    decided = _of(results, folder, "verdict", "choices", ChoiceRow, costs)
    searched = _of(results, folder, "search", "choices", ChoiceRow, costs)
    for rows in (decided, searched):
        if rows and (
            not trained or {r["genotype"] for r in rows} == {r["genotype"] for r in trained}
        ):
            return rows
    return [_asked(row) for row in trained]


def _asked(row: NetworkRow) -> ChoiceRow:
    """Make a choice of a network that was asked for; its limit is its own size."""
    sizes = {"genotype": row["genotype"], "madds": row["madds"], "params": row["params"]}
    reached = {"accuracy": row["validation_accuracy"], "loss": nan, "generation": -1}
    return cast(ChoiceRow, {"name": row["name"], "limit": row["madds"], **sizes, **reached})


def _done(folder: Path, stage: str) -> bool:
    """Tell whether a stage has written its result."""
    return (folder / stage / "result.json").exists()


def _front(path: Path, costs: Names) -> list[CandidateRow]:
    """Read the front of a complete search."""
    front = typed_row(FrontFile, read_json(path), path)
    return typed_rows(CandidateRow, front["front"], path, costs=costs)


def _metrics(folder: Path) -> list[Row]:
    """Read the numbers of the stages that are there, but for damaged lines.

    They only inform: what is no file that can be read is told, and left out.
    """
    try:
        rows = scan_rows(folder / "metrics.jsonl", origin=None)
    except (DamagedError, OSError) as error:
        warn(f"{str(error).partition(': ')[0]}: the page has none of its numbers")
        return []
    return [row for row in rows if row is not None and (folder / str(row.get("stage"))).is_dir()]


def _archive(path: Path, evaluated: int | None, costs: Names) -> list[CandidateRow]:
    """Read the archive; of a complete search it must have as many rows as were evaluated."""
    rows = typed_rows(CandidateRow, read_rows(path, origin=None), path, costs=costs)
    if evaluated is not None and len(rows) != evaluated:
        raise damaged(path, f"it has {len(rows)} rows and not {evaluated}")
    return rows


def _check_verdict(result: Row, path: Path) -> None:
    """Check what the page shows of a verdict; its candidates have been checked by the search."""
    typed_rows(JudgedRow, result["judged"], path)
    typed_rows(FieldRow, result["candidates"], path)


def _ranking(result: Row, folder: Path) -> Ranking:
    """Take a complete ranking; ways that average no scores must have one of every architecture."""
    path, file = folder / "result.json", folder / "scores.jsonl"
    ranking = Ranking(
        architectures=typed_rows(ComparedRow, result["architectures"], path),
        table=typed_rows(EstimateRow, result["table"], path),
        posterior=result["posterior"],
        failed=result.get("failed", {}),
        scores=typed_rows(ScoreRow, read_rows(file, origin=None), file),
    )
    for found in ranking.posterior.values():
        typed_row(PosteriorRow, found, path)
    known = {way for way, _ in ranking.scored()}
    scoring = ("checkpoint", "parameters", "network")
    needed = dict.fromkeys(row["way"] for row in ranking.table if row["form"] in scoring)
    if lacking := [way for way in needed if way not in known]:
        raise damaged(file, f"it lacks scores of {', '.join(lacking)}")
    return ranking


def _of(
    results: dict[str, Row], folder: Path, stage: str, key: str, kind: type[Kind], costs: Names
) -> list[Kind]:
    """Return the list ``key`` of a stage's result; empty if the stage is not complete."""
    if stage not in results:
        return []
    path = folder / stage / "result.json"
    return typed_rows(kind, results[stage][key], path, costs=costs)
