"""Run the study of rankings: hyper-networks of several seeds, and what their rankings are worth.

    nice python benchmarks/ranking.py --fashion FOLDER --cifar FOLDER --runs FOLDER [--jobs 2]

FOLDER: Fashion-MNIST as IDX files (Debian's dataset-fashion-mnist), CIFAR-10 as class folders, and
where the runs go. It takes hours; the same command goes on after an interruption, and the runs of
a set share their trainings from scratch. At the end, and with ``--collect`` at any time, trainings
and scores of all complete runs go to ``results/ranking_truth.csv`` and ``ranking_scores.csv``,
from which ``ranking_tables.py`` makes every table and figure.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from record import machine, save

from stnas.store.files import read_json, read_rows

SEEDS = range(5)
RATE = "0.05"
"""Step size of the chains beside the paper's: a tenth of the peak in training, set beforehand."""
WAYS = (
    *("single", "tail", "ema-0.999", "ema-0.9999"),
    *("none", "posterior", "relative-0.01", "relative-0.02", "relative-0.05", "literal"),
    *(f"{way}@{RATE}" for way in ("none", "posterior")),
    *("finetune-10", "finetune-100", "finetune-epoch"),
)
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000"}


def commands(runs: Path, name: str, path: str, seed: int) -> Iterator[list[str]]:
    """Give the two commands of one run: training, and the ranking."""
    run = ["--run", str(runs / f"{name}-{seed}")]
    truth = ["--rank.truth", str(runs / f"truth-{name}")]
    yield ["train", "--config", "ranking", *run, "--data.path", path, "--seed", str(seed), *truth]
    yield ["rank", *run, *truth, "--rank.ways", f"[{','.join(WAYS)}]"]


def work(runs: Path, name: str, path: str, seed: int) -> None:
    """Make one run; what is complete is skipped."""
    log = runs / f"{name}-{seed}.log"
    with log.open("a") as file:
        for words in commands(runs, name, path, seed):
            subprocess.run(
                [sys.executable, "-m", "stnas", *words],
                env={**os.environ, **ENVIRONMENT},
                stdout=file,
                stderr=subprocess.STDOUT,
                check=True,
            )
    print(f"{name}, seed {seed}: done", flush=True)


def collect(runs: Path, sets: list[str]) -> None:
    """Write the trainings and the scores of all complete runs as tables."""
    truth: list[dict[str, Any]] = []
    scores: list[dict[str, Any]] = []
    for name in sets:
        folders = [folder for seed in SEEDS if complete(folder := runs / f"{name}-{seed}")]
        for seed, folder in [(int(folder.name.rpartition("-")[2]), folder) for folder in folders]:
            if folder == folders[0]:
                truth += trainings(name, read_json(folder / "rank" / "result.json"))
            scores += scored(name, seed, read_rows(folder / "rank" / "scores.jsonl", origin=None))
    about = machine()
    save("ranking_truth", truth, about)
    save("ranking_scores", scores, about)


def complete(folder: Path) -> bool:
    """Tell whether a run's ranking is complete."""
    return (folder / "rank" / "result.json").exists()


def trainings(name: str, result: dict[str, Any]) -> list[dict[str, Any]]:
    """Turn a result into rows, one an architecture."""
    return [
        {
            "set": name,
            "row": row,
            "genotype": found["genotype"],
            "madds": found["madds"],
            "params": found["params"],
            **{f"accuracy_{seed}": f"{v:.4f}" for seed, v in enumerate(found["truth"])},
        }
        for row, found in enumerate(result["architectures"])
    ]


def scored(name: str, seed: int, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Turn the lines of a ledger into rows: a way, its weights and statistics, by one measure."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    names = ("way", "weights", "statistics")
    for line in lines:
        for measure, digits in (("accuracy", 6), ("loss", 5)):
            words = {**{key: line[key] for key in names}, "measure": measure}
            row = found.setdefault(tuple(words.values()), {"set": name, "seed": seed, **words})
            for place, value in zip(line["rows"], line[measure], strict=True):
                row[f"a{place}"] = f"{value:.{digits}g}"
    return list(found.values())


def main() -> None:
    """Make all runs, a few at a time, then collect."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fashion", help="folder of Fashion-MNIST")
    parser.add_argument("--cifar", help="folder of CIFAR-10")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--collect", action="store_true", help="collect what is complete, alone")
    options = parser.parse_args()
    sets = {n: p for n in ("fashion", "cifar") if (p := getattr(options, n)) is not None}
    options.runs.mkdir(parents=True, exist_ok=True)
    if not options.collect:
        with ThreadPoolExecutor(options.jobs) as pool:
            plan = [(name, path, seed) for seed in SEEDS for name, path in sets.items()]
            jobs = [pool.submit(work, options.runs, *each) for each in plan]
            for job in jobs:
                job.result()
    collect(options.runs, ["fashion", "cifar"])


if __name__ == "__main__":
    main()
