"""Train the best candidates near each limit by successive halving, and choose who wins."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import cast

from stnas.config import Config
from stnas.group.processes import current
from stnas.group.streams import derive
from stnas.learn.task import Check, Task, check_batch, check_start, prepare
from stnas.space import SearchSpace
from stnas.store.files import read_rows
from stnas.store.journal import Journal
from stnas.store.names import ARCHIVE
from stnas.store.results import VerdictResult
from stnas.store.rows import CandidateRow, typed_rows
from stnas.store.run_folder import RunFolder
from stnas.verdict.contest import Contest, Row, decided, proposed
from stnas.verdict.exploration import Field, explored
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
        with Journal(folder, "verdict", total=len(ends), unit="rung") as journal:
            origin = folder.origin("verdict")
            trainings = Trainings(config, task, stage, ends=ends, origin=origin, journal=journal)
            fields = enter(config, task.space, rows, searched)
            rounds = config.verdict.rounds if ends else 1
            explored([field for _, _, field in fields], rounds, partial(trainings.judged, rung=0))
            contests = [
                Contest(
                    limit,
                    low,
                    field.field(),
                    sizes_of(config, field, rungs=len(ends)),
                    field.expected,
                )
                for limit, low, field in fields
            ]
            for line in models(fields):
                journal.say(line)
            contests, history = halve(contests, trainings, config, journal)
            reasons = {row["limit"]: row["reason"] for row in searched["unmet"]}
            found = decided(contests, {row["genotype"]: row for row in history}, reasons)
            for line in summary(found):
                journal.say(line)
        candidates = [
            {
                "limit": contest.limit,
                "low": contest.low,
                "ranking": list(contest.field),
                "models": [asdict(fit) for fit in field.fits],
            }
            for contest, (_, _, field) in zip(contests, fields, strict=True)
        ]
        result = {"ends": ends, "candidates": candidates, "judged": history, **found}
        seconds = time.perf_counter() - begin
        folder.finish("verdict", cast(VerdictResult, {"seconds": seconds, **result}))


def enter(
    config: Config, space: SearchSpace, rows: list[Row], searched: Row
) -> list[tuple[float, float, Field]]:
    """Set up who may take part for each limit, by rising limit: (limit, low, field)."""
    options = config.verdict
    found = []
    for window in searched["windows"]:
        low, limit = window["low"], window["limit"]
        inside = sum(low <= row[config.search.cost] <= limit for row in rows)
        count = inside if options.rounds > 1 else 0
        own = proposed(
            rows,
            low=low,
            limit=limit,
            count=max(count, options.candidates),
            measure=config.search.measure,
            cost=config.search.cost,
        )
        field = Field(
            space,
            own,
            count=options.candidates,
            measure=config.search.measure,
            judged_by=options.measure,
            seed=derive(config.seed, "verdict", str(limit)),
        )
        found.append((limit, low, field))
    return found


def sizes_of(config: Config, field: Field, *, rungs: int) -> tuple[int, ...]:
    """Return how many of a field train in each of the last rungs."""
    return tuple(field_sizes(field.count, config.verdict.reduction)[:rungs])


def models(fields: Sequence[tuple[float, float, Field]]) -> list[str]:
    """Say how far the models could be trusted."""
    return [
        f"verdict: limit {limit:,.10g}: {fit.told()}"
        for limit, _, field in fields
        for fit in field.fits
    ]


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
