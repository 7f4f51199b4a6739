"""Search, keep an archive of all that was evaluated, and choose."""

import time
from collections.abc import Sequence
from functools import partial
from math import log

import numpy as np

from stnas.config import Config
from stnas.group.processes import current, led
from stnas.group.streams import derive, numpy_generator
from stnas.learn.memory import repaired_by, smaller_batches
from stnas.learn.scoring import scorer
from stnas.learn.task import Check, Task, check_start, prepare
from stnas.ops import hypervolume
from stnas.search.candidates import DRAW, Archive, Bounds, feasible_samples, unseen
from stnas.search.choices import check_limits, choice_limits, choices, unmet
from stnas.search.evaluator import Evaluator, candidate, complete_archive, row
from stnas.search.nsga2 import front
from stnas.search.objectives import Candidate, Objectives, objectives_of
from stnas.search.strategies import evolve
from stnas.search.truth import told, truths
from stnas.search.windows import windows
from stnas.space import AdditiveCost, Genotype, SearchSpace
from stnas.store.files import write_json
from stnas.store.journal import Journal
from stnas.store.names import ARCHIVE, FRONT, RANDOM
from stnas.store.results import FrontFile, SearchFindings, SearchResult, TruthRow, WindowRow
from stnas.store.run_folder import RunFolder


def check(config: Config, task: Task) -> None:
    """Raise ValueError for bounds or limits that no architecture meets, or a cell that is none."""
    check_limits(config, task.space)
    if config.search.strategy == "derived" and not config.train.mixes:
        raise ValueError(
            "search.strategy derived needs a train.strategy that derives a cell, got "
            f"{config.train.strategy}: set --train.strategy darts1, or --search.strategy nsga2"
        )


def run(config: Config, *, ahead: Sequence[Check] = ()) -> None:
    """Search to ``archive.jsonl``, ``front.json`` and the choices in ``result.json``.

    An interrupted search replays the scores in its archive and goes on: the result is the same.
    Of a complete one, other limits choose anew. ahead: checks of stages that are to follow, made
    before anything is recorded.
    """
    with RunFolder(config) as folder:
        check_start(folder, "search")
        begin = time.perf_counter()
        task = prepare(config, folder)
        for fits in (check, *ahead):
            fits(config, task)
        stage, origin = folder.begin("search"), folder.origin("search")
        objectives = objectives_of(task.space, config.search)
        own = derived_cell(config, task, folder)
        limits = choice_limits(config, task) if own is None else cost_of(config, task, own)
        total = config.search.generations if own is None else 1
        with Journal(folder, "search", total=total, unit="generation") as journal:
            known = current().first(partial(complete_archive, stage, origin, task.space.costs))
            if known is None:
                with repaired_by(smaller_batches(config.search)):
                    archive, drawn = searched(config, task, folder, limits, journal, own)
            else:
                archive, drawn = ([candidate(task.space, r) for r in rows] for rows in known)
                journal.say(f"search: choices from the {len(archive):,} candidates that are known")
            result = findings(config, task, limits, archive, drawn)
            for line in summary(result):
                journal.say(line)
            if own is not None:
                result["truth"] = known_truths(task.space, own, journal)
        best = [row(task.space, c) for c in front(archive, objectives)]
        found: FrontFile = {"front": best, "evaluated": len(archive), "random": len(drawn)}
        led(write_json)(stage / FRONT, {**found, "origin": origin})
        files = [file for file in (stage / ARCHIVE, stage / FRONT, stage / RANDOM) if file.exists()]
        seconds = time.perf_counter() - begin
        whole: SearchResult = {"seconds": seconds, **result}
        folder.finish("search", whole, files=files)


def searched(
    config: Config,
    task: Task,
    folder: RunFolder,
    limits: list[float],
    journal: Journal,
    own: Genotype | None,
) -> tuple[list[Candidate], list[Candidate]]:
    """Search, and score random candidates beside; return what both evaluated.

    own: the only candidate where it is derived already.
    """
    stage, origin = folder.path / "search", folder.origin("search")
    bounds = Bounds(task.space, config.search)
    objectives = objectives_of(task.space, config.search)
    score = scorer(config, task, folder, split=task.dataset.validation)
    ledger = partial(Evaluator, space=task.space, score=score, journal=journal, origin=origin)
    evaluator = ledger(stage / ARCHIVE)
    if own is not None:
        archive = evaluator.evaluate([own], 0)
        report(task.space, objectives, journal, 0, archive)
    else:
        archive = evolve(
            bounds,
            config.search,
            limits,
            p_drop=task.p_drop,
            seed=derive(config.seed, "search"),
            evaluate=evaluator.evaluate,
            report=partial(report, task.space, objectives, journal),
        )
    evaluator.keep(archive)
    evaluator = ledger(stage / RANDOM)
    drawn = random_candidates(config, task, bounds, evaluator, len(archive))
    evaluator.keep(drawn)
    return archive, drawn


def derived_cell(config: Config, task: Task, folder: RunFolder) -> Genotype | None:
    """Return the cell that training derived, where the search is to take it."""
    if config.search.strategy != "derived":
        return None
    return task.space.parse(folder.result("train")["derived"])


def known_truths(space: SearchSpace, own: Genotype, journal: Journal) -> list[TruthRow]:
    """Return what public tables know of a derived cell, and say it, or how to get them."""
    try:
        rows = truths(space, space.format(own))
    except FileNotFoundError as error:
        journal.say(f"search: the cell's true accuracy is not known here: {error}")
        return []
    for line in told(rows):
        journal.say(f"search: the cell's true accuracy on {line}")
    return rows


def cost_of(config: Config, task: Task, own: Genotype) -> list[float]:
    """Return the cost of a cell as the only limit."""
    return [float(np.asarray(task.space.costs[config.search.cost](own[None]))[0])]


def report(
    space: SearchSpace,
    objectives: Objectives,
    journal: Journal,
    generation: int,
    archive: list[Candidate],
) -> None:
    """Record the state after a generation."""
    journal.record(
        generation,
        evaluated=len(archive),
        best_accuracy=max(candidate.accuracy for candidate in archive),
        best_loss=min(candidate.loss for candidate in archive),
        front=len(front(archive, objectives)),
        hypervolume=hypervolume_share(space, archive, objectives),
    )


def findings(
    config: Config,
    task: Task,
    limits: list[float],
    archive: list[Candidate],
    drawn: list[Candidate],
) -> SearchFindings:
    """Choose from an archive, and hold it against random candidates."""
    objectives = objectives_of(task.space, config.search)
    chosen = choices(task.space, archive, limits, objectives)
    return {
        "evaluated": len(archive),
        "choices": chosen,
        "unmet": unmet(archive, limits, chosen, objectives),
        "windows": coverage(config, archive, limits, objectives),
        "hypervolume": hypervolume_share(task.space, archive, objectives),
        "random": {
            "evaluated": len(drawn),
            "hypervolume": hypervolume_share(task.space, drawn, objectives),
        },
    }


def random_candidates(
    config: Config, task: Task, bounds: Bounds, evaluator: Evaluator, evaluated: int
) -> list[Candidate]:
    """Score random networks of the sampler inside the bounds: what a search is to surpass."""
    count = evaluated if config.search.random is None else config.search.random
    rng = numpy_generator(derive(config.seed, "search"), "random")
    source = feasible_samples(bounds, p_drop=task.p_drop, rng=rng)
    drawn = unseen([source], Archive(task.space), count)
    size, last = config.search.population, config.search.generations - 1
    parts = [drawn[start : start + size] for start in range(0, len(drawn), size)]
    return [candidate for part in parts for candidate in evaluator.evaluate(part, last)]


def coverage(
    config: Config, archive: list[Candidate], limits: list[float], objectives: Objectives
) -> list[WindowRow]:
    """Count the candidates in the window below every limit."""
    return [
        {
            "limit": window.limit,
            "low": window.low,
            "unit": objectives.unit,
            "evaluated": sum(window.holds(objectives.cost_of(candidate)) for candidate in archive),
        }
        for window in windows(config.search, limits)
    ]


def summary(result: SearchFindings) -> list[str]:
    """Say how well the windows are covered, what limits have no network, and what chance gives."""
    lines = [
        f"search: {row['evaluated']:,} candidates of {row['low']:,.10g} to {row['limit']:,.10g} "
        f"{row['unit']}"
        for row in result["windows"]
    ]
    lines += [f"search: limit {row['limit']:,.10g}: {row['reason']}" for row in result["unmet"]]
    if result["random"]["evaluated"]:
        lines.append(
            f"search: hypervolume {result['hypervolume']:.4f} of {result['evaluated']:,} "
            f"candidates, {result['random']['hypervolume']:.4f} of "
            f"{result['random']['evaluated']:,} random ones"
        )
    return lines


def hypervolume_share(
    space: SearchSpace, archive: list[Candidate], objectives: Objectives
) -> float:
    """Return the dominated share of a rectangle, in [0, 1]; 0 without candidates.

    It reaches from 0 to the largest cost, and from accuracy 1 to 0, or from loss 0 to that of
    chance, ``log(classes)``.
    """
    if not archive:
        return 0.0
    most = largest(space, objectives.cost)
    worst = log(space.head.num_classes) if objectives.measure == "loss" else 0.0
    height = worst or 1.0
    return hypervolume(objectives.points(archive), np.array([most, worst])) / (most * height)


def largest(space: SearchSpace, name: str) -> float:
    """Return the largest cost, or that of many architectures where no table tells it; above 0."""
    cost = space.costs[name]
    if isinstance(cost, AdditiveCost):
        return float(cost.most)
    drawn = [np.max(cost(space.sample(DRAW, p_drop=p_drop, seed=0))) for p_drop in (0.0, 0.5)]
    return float(max(*drawn, np.finfo(np.float64).tiny))
