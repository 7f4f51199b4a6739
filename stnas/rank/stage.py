"""Train architectures from scratch, score them by every way, and say which rankings hold."""

import time
from pathlib import Path
from typing import cast

import numpy as np
from rich.table import Table

from stnas.config import Config
from stnas.config.rank import Way
from stnas.group.processes import current
from stnas.learn.task import check_start, prepare
from stnas.rank.analysis import Reality, analyse, calibration
from stnas.rank.architectures import architectures, size
from stnas.rank.estimators import baselines, estimators, sample_scores
from stnas.rank.ledger import Ledger, vectors
from stnas.rank.scoring import Bench
from stnas.rank.table import TableTruth, read_table
from stnas.rank.truth import Truth
from stnas.rank.weights import chosen_ways
from stnas.space import Genotypes, SearchSpace
from stnas.store.console import CONSOLE, folding_table
from stnas.store.journal import Journal
from stnas.store.names import SCORES
from stnas.store.results import PosteriorRow, RankFindings, RankResult
from stnas.store.rows import EstimateRow
from stnas.store.run_folder import RunFolder


def run(config: Config) -> None:
    """Rank to ``scores.jsonl`` and ``result.json``; what is trained or scored already is kept."""
    if current().size > 1:
        raise ValueError(
            f"stnas rank works in one process, got {current().size}: start it without torchrun; "
            "several runs share the trainings from scratch through --rank.truth"
        )
    ways, left_out = chosen_ways(config)
    with RunFolder(config) as folder:
        check_start(folder, "rank")
        begin = time.perf_counter()
        task = prepare(config, folder)
        table = None
        if config.rank.table is not None:
            table = read_table(Path(config.rank.table).expanduser(), task.space)
        genotypes = architectures(config, task, table)
        stage = folder.begin("rank")
        truth = Truth(config, task, genotypes) if table is None else TableTruth(table, genotypes)
        with Journal(folder, "rank", total=len(truth) + len(ways)) as journal:
            for line in left_out:
                journal.say(f"rank: without {line}")
            truth.work_(journal)
            ledger = Ledger(
                stage / SCORES,
                len(genotypes),
                origin=folder.origin("rank"),
                say=journal.say,
            )
            bench = Bench.make(config, task, genotypes, ledger=ledger, journal=journal, run=folder)
            failed = score_(bench, ways, position=len(truth))
            accuracies = truth.complete_(journal)
        found = result(config, task.space, genotypes, ways, ledger, accuracies)
        seconds = time.perf_counter() - begin
        whole: RankResult = {"seconds": seconds, "failed": failed, **found}
        folder.finish("rank", whole, files=[ledger.file])
    CONSOLE.print(summary(found["table"]))


def score_(bench: Bench, ways: list[Way], *, position: int) -> dict[str, str]:
    """Score by every way; return why some have no scores: their weights stopped being finite.

    All fine-tuning goes through the architectures once, and so do all probes.
    """
    failed = {}
    tuning = [way for way in ways if way.kind == "finetune"]
    probes = [way for way in ways if way.kind == "probe"]
    others = [way for way in ways if way not in (*tuning, *probes)]
    for number, way in enumerate(others, start=position):
        try:
            bench.score_(way, number)
        except FloatingPointError as error:
            failed[way.name] = str(error)
            bench.journal.say(f"rank: no scores by {way.name}: {error}")
            bench.source.forget(way)
    if probes:
        bench.probe_(probes, position + len(others))
    if tuning:
        bench.finetune_(tuning, position + len(others) + len(probes))
    return failed


def result(
    config: Config,
    space: SearchSpace,
    genotypes: Genotypes,
    ways: list[Way],
    ledger: Ledger,
    accuracies: list[list[float]],
) -> RankFindings:
    """Hold every estimator against the ground truth."""
    options = config.rank
    costs = {name: np.asarray(cost(genotypes), float) for name, cost in space.costs.items()}
    reality = Reality.make(
        accuracies, costs[size(space).name], bands=options.bands, count=options.resamples
    )
    count = len(genotypes)
    judged = [*baselines(costs), *estimators(ways, ledger.rows, count)]
    known = vectors(ledger.rows, count, "accuracy")
    posterior = {
        way.name: cast(PosteriorRow, calibration(samples, reality))
        for way in ways
        if way.kind == "chain" and len(samples := sample_scores(way, known)) > 1
    }
    return {
        "architectures": [
            {
                "genotype": space.format(genotype),
                "madds": int(costs["madds"][i]),
                "params": int(costs["params"][i]),
                "truth": accuracies[i],
            }
            for i, genotype in enumerate(genotypes)
        ],
        "table": cast(list[EstimateRow], analyse(judged, reality)),
        "posterior": posterior,
    }


def summary(table: list[EstimateRow]) -> Table:
    """Tabulate the estimators that take recalibrated accuracy, the baselines and the ceiling."""
    shown = folding_table(
        "way", "averaged", "tau-b", "95 %", "in bands", "Spearman", "top 10 %", "regret",
        title="Agreement with training from scratch",
    )  # fmt: skip
    for row in table:
        if row.get("statistics") == "running" or row.get("measure") == "loss":
            continue
        interval = f"{number(row['tau_low'])} to {number(row['tau_high'])}"
        shown.add_row(
            row["way"], row["form"], f"{number(row['tau'])} (n {row['n']})", interval,
            number(row.get("band_tau")), number(row.get("spearman")),
            number(row.get("top_precision")),
            number(row.get("regret"), scale=100, unit=" points"),
        )  # fmt: skip
    return shown


def number(value: float | None, *, scale: float = 1.0, unit: str = "") -> str:
    """Format a figure; a dash where there is none."""
    return "-" if value is None else f"{scale * value:.2f}{unit}"
