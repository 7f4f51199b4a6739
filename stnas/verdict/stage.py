"""Train the best candidates near each limit by successive halving, and choose who wins."""

import time
from collections.abc import Sequence
from functools import partial
from typing import cast

from stnas.config import Config
from stnas.group.processes import current
from stnas.learn.task import Check, Task, check_batch, check_start, prepare
from stnas.store.files import read_rows
from stnas.store.journal import Journal
from stnas.store.names import ARCHIVE
from stnas.store.results import VerdictResult
from stnas.store.rows import CandidateRow, typed_rows
from stnas.store.run_folder import RunFolder
from stnas.verdict.contest import Contest, Row, decided, proposed
from stnas.verdict.halving import field_sizes, rung_ends
from stnas.verdict.trainings import Trainings


def check(config: Config, task: Task) -> None:
    """Raise ValueError where the trainings could not work on these images."""
    check_batch("retrain.batch_size", config.retrain.batch_size, len(task.dataset.train))


def run(config: Config, *, ahead: Sequence[Check] = ()) -> None:
    """Choose for every limit that has candidates; trainings that are done already are kept.

    ahead: checks of stages that are to follow, made before anything is recorded.
    """
    if config.verdict.candidates == 0:
        raise ValueError(
            "verdict.candidates must be 1 or more for a verdict, got 0: raise it, or leave this "
            "stage out: without it retrain takes the choices of the search"
        )
    with RunFolder(config) as folder:
        check_start(folder, "verdict")
        begin = time.perf_counter()
        task = prepare(config, folder)
        for fits in (check, *ahead):
            fits(config, task)
        searched, stage = folder.result("search"), folder.begin("verdict")
        archive = folder.path / "search" / ARCHIVE
        origin = folder.origin("search")
        rows = current().first(partial(read_rows, archive, origin=origin))
        typed_rows(CandidateRow, rows, archive, costs=task.space.costs)
        ends = rung_ends(config)
        contests = enter(config, rows, searched, rungs=len(ends))
        with Journal(folder, "verdict", total=len(ends), unit="rung") as journal:
            origin = folder.origin("verdict")
            trainings = Trainings(config, task, stage, ends=ends, origin=origin, journal=journal)
            contests, history = halve(contests, trainings, config, journal)
            reasons = {row["limit"]: row["reason"] for row in searched["unmet"]}
            found = decided(contests, {row["genotype"]: row for row in history}, reasons)
            for line in summary(found):
                journal.say(line)
        candidates = [
            {"limit": contest.limit, "low": contest.low, "ranking": list(contest.field)}
            for contest in contests
        ]
        result = {"ends": ends, "candidates": candidates, "judged": history, **found}
        seconds = time.perf_counter() - begin
        folder.finish("verdict", cast(VerdictResult, {"seconds": seconds, **result}))


def enter(config: Config, rows: list[Row], searched: Row, *, rungs: int) -> list[Contest]:
    """Set up the contest of each limit, by rising limit."""
    contests = []
    for window in searched["windows"]:
        low, limit = window["low"], window["limit"]
        field = proposed(
            rows,
            low=low,
            limit=limit,
            count=config.verdict.candidates,
            measure=config.search.measure,
            cost=config.search.cost,
        )
        sizes = tuple(field_sizes(len(field), config.verdict.reduction)[:rungs])
        contests.append(Contest(limit, low, field, sizes))
    return contests


def halve(
    contests: list[Contest], trainings: Trainings, config: Config, journal: Journal
) -> tuple[list[Contest], list[Row]]:
    """Let all rungs pass; return the ranked contests, and what was judged at every rung.

    A candidate of several limits trains once.
    """
    history: list[Row] = []
    rungs = len(trainings.ends)
    before: set[str] = set()
    for rung in range(rungs):
        training = [contest.trains(rung, rungs) for contest in contests]
        texts = list(dict.fromkeys(row["genotype"] for rows in training for row in rows))
        trainings.drop_(sorted(before - set(texts)))
        rows = trainings.judged(texts, rung)
        record(journal, rung, rows)
        history += [{name: row[name] for name in KEPT} for row in rows]
        judged = {row["genotype"]: row for row in rows}
        contests = [
            contest.ranked(own, judged, config.verdict.measure)
            for contest, own in zip(contests, training, strict=True)
        ]
        before |= set(texts)
    trainings.drop_(sorted(before))
    return contests, history


KEPT = ("genotype", "rung", "epochs", "accuracy", "balanced_accuracy", "loss", "seconds")


def record(journal: Journal, rung: int, rows: list[Row]) -> None:
    """Write down what the trainings of a rung reached."""
    for row in rows:
        numbers = {name: row[name] for name in ("epochs", "accuracy", "loss")}
        journal.record(rung, network=row["genotype"], **numbers)


def summary(found: dict[str, list[Row]]) -> list[str]:
    """Say which network each limit has, or why it has none."""
    lines = [
        f"verdict: {row['name']}, limit {row['limit']:,.10g}: {row['madds']:,} MAdds, "
        f"{row['genotype']}"
        for row in found["choices"]
    ]
    return lines + [
        f"verdict: limit {row['limit']:,.10g}: {row['reason']}" for row in found["unmet"]
    ]
