"""Hold the rankings of hyper-networks against public accuracies, by every way of scoring.

    python benchmarks/table_ranking.py cells --data CIFAR-10 --runs FOLDER [--seeds 5]
    python benchmarks/table_ranking.py macro --data CIFAR-10 --runs FOLDER --table FILE [--seeds 5]

``cells``: NAS-Bench-201's (space ``nb201``, the extra ``bench``), ``macro``: NAS-Bench-Macro's
networks at half their width (FILE: nas-bench-macro_cifar10.json, Su et al. 2021,
github.com/xiusu/NAS-Bench-Macro). The accuracies are those of the published trainings, so nothing
is trained from scratch. A run that was stopped goes on; each complete one adds its rows to
``results/table_scores.csv``, from which ``table_ranking_tables.py`` makes the tables of the docs.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from ranking import complete, scored, trainings
from record import known, machine, save

from stnas.store.files import read_json, read_rows

WAYS = (
    *("single", "tail", "ema-0.999", "none", "posterior", "relative-0.02", "literal"),
    *("none@0.05", "posterior@0.05", "relative-0.02@0.05", "finetune-10"),
)
BOTH = (
    "--data.split_seed=0",
    "--data.crop_padding=4",
    "--train.batch_size=64",
    "--train.ema=[0.999]",
    "--sgld.samples=2",
    "--search.recalibration_batch=250",
    "--search.evaluation_batch=250",
)


class Benchmark(NamedTuple):
    """How the hyper-networks of a public table are trained, and where the table is."""

    train: tuple[str, ...]
    table: str | None = None


SETS = {
    "cells": Benchmark(
        (
            "--space.family=nb201",
            "--space.profile=micro",
            "--data.train_limit=20000",
            "--data.validation=0.05",
            "--train.strategy=spos",
            "--train.epochs=25",
            "--train.learning_rate=0.2",
            "--train.checkpoints=3",
            "--search.recalibration_images=250",
        ),
        "nasbench201-cifar10",
    ),
    "macro": Benchmark(
        (
            "--space.profile=nas_bench_macro_half",
            "--data.train_limit=20000",
            "--data.validation=0.1",
            "--train.epochs=30",
            "--train.learning_rate=0.2",
            "--train.checkpoints=5",
            "--search.recalibration_images=500",
        )
    ),
}


def work(run: Path, name: str, *, data: str, table: str, seed: int) -> None:
    """Make one run; what is complete is skipped."""
    own = ["--run", str(run)]
    begin = ["train", *own, f"--data.path={data}", f"--seed={seed}", *BOTH, *SETS[name].train]
    rank = [f"--rank.table={table}", "--rank.architectures=200", "--rank.shared_statistics_steps=0"]
    for words in (begin, ["rank", *own, *rank, f"--rank.ways=[{', '.join(WAYS)}]"]):
        if not (run / words[0] / "result.json").exists():
            subprocess.run([sys.executable, "-m", "stnas", *words], check=True)


def collect(runs: Path, name: str) -> None:
    """Put the accuracies and the scores of all complete runs in place of the rows of this set."""
    folders = sorted((f for f in runs.iterdir() if complete(f)), key=lambda f: int(f.name))
    truth = trainings(name, read_json(folders[0] / "rank" / "result.json"))
    scores: list[dict[str, Any]] = []
    for folder in folders:
        lines = read_rows(folder / "rank" / "scores.jsonl", origin=None)
        scores += scored(name, int(folder.name), lines)
    about = machine()
    for file, rows in (("table_truth", truth), ("table_scores", scores)):
        save(file, [*(row for row in known(file) if row["set"] != name), *rows], about)


def main() -> None:
    """Make the runs, one a seed, and collect."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--data", required=True, help="CIFAR-10")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--table", help="the published accuracies of NAS-Bench-Macro")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=5)
    own = parser.parse_args()
    table = own.table or SETS[own.set].table
    if table is None:
        parser.error(f"--table must be given for {own.set}")
    own.runs.mkdir(parents=True, exist_ok=True)
    for seed in range(own.first, own.first + own.seeds):
        work(own.runs / str(seed), own.set, data=own.data, table=table, seed=seed)
        collect(own.runs, own.set)


if __name__ == "__main__":
    main()
