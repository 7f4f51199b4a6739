"""Hold the rankings of hyper-networks against public accuracies, by every way of scoring.

    python benchmarks/table_ranking.py cells --data CIFAR-10 --runs FOLDER [--seeds 5]
    python benchmarks/table_ranking.py macro --data CIFAR-10 --runs FOLDER --table FILE [--seeds 5]

``cells``: NAS-Bench-201's (space ``nb201``, the extra ``bench``), ``macro``: NAS-Bench-Macro's
networks at half their width (FILE: nas-bench-macro_cifar10.json, Su et al. 2021,
github.com/xiusu/NAS-Bench-Macro). What is ranked is held against the published trainings. Under the
hyper-networks of ``macro`` a search proposes networks for two limits, too. A run that was stopped
goes on; each complete one adds its rows to ``results/table_scores.csv``, and what it chose to
``table_chosen.csv``, from which ``table_ranking_tables.py`` makes the tables of the docs.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from ranking import complete, scored, trainings
from record import known, machine, save

from stnas.rank.table import read_table
from stnas.space import SearchSpace
from stnas.store.files import read_json, read_rows

WAYS = (
    *("single", "tail", "ema-0.999", "none", "posterior", "relative-0.02", "literal"),
    *("none@0.05", "posterior@0.05", "relative-0.02@0.05", "finetune-10", "probe-3000"),
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
    """How the hyper-networks of a public table are trained, and search; and where the table is."""

    train: tuple[str, ...]
    table: str | None = None
    search: tuple[str, ...] = ()


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
        ),
        search=(
            "--search.score=single",
            "--search.population=20",
            "--search.generations=15",
            "--search.random=0",
            "--search.limit_shares=[0.5, 0.75]",
        ),
    ),
}


def work(run: Path, name: str, *, data: str, table: str, seed: int) -> None:
    """Make one run: train, rank, search if the set does; what is complete is skipped."""
    own = ["--run", str(run)]
    begin = ["train", *own, f"--data.path={data}", f"--seed={seed}", *BOTH, *SETS[name].train]
    rank = [f"--rank.table={table}", "--rank.architectures=200", "--rank.shared_statistics_steps=0"]
    stages = [begin, ["rank", *own, *rank, f"--rank.ways=[{', '.join(WAYS)}]"]]
    if search := SETS[name].search:
        stages.append(["search", *own, *search])
    for words in stages:
        if not (run / words[0] / "result.json").exists():
            subprocess.run([sys.executable, "-m", "stnas", *words], check=True)


class Published:
    """All networks of a table: their genotypes, mean accuracies and multiply-adds."""

    def __init__(self, table: Path, space: SearchSpace) -> None:
        """Read the table."""
        found = read_table(table, space)
        self.space, self.genotypes = space, np.stack([np.frombuffer(k, np.int8) for k in found])
        self.accuracies = np.array([fmean(values) for values in found.values()])
        self.madds = space.madds(self.genotypes)

    def row(self, network: int, limit: float, by: str) -> dict[str, Any]:
        """Hold a network against those up to a limit, and those of its size, within 2 %."""
        madds, accuracy = self.madds[network], self.accuracies[network]
        rivals = self.accuracies[self.madds <= limit]
        twins = np.abs(self.madds - madds) <= 0.02 * madds
        twins[network] = False
        mean = f"{self.accuracies[twins].mean():.5f}" if twins.any() else ""
        return {
            "limit": round(limit),
            "by": by,
            "genotype": self.space.format(self.genotypes[network]),
            "madds": int(madds),
            "accuracy": f"{accuracy:.5f}",
            "twins": mean,
            "best": f"{rivals.max():.5f}",
            "place": 1 + int((rivals > accuracy).sum()),
            "of": len(rivals),
        }

    def chosen(self, run: Path) -> list[dict[str, Any]]:
        """List what the search puts first by shared loss under each limit.

        Beside them, by ``size``, a network of the most multiply-adds that the limit allows.
        """
        rows = []
        for choice in read_json(run / "search" / "result.json")["choices"]:
            genotype = self.space.parse(choice["genotype"])
            network = int(np.flatnonzero((self.genotypes == genotype).all(1))[0])
            rows.append(self.row(network, choice["limit"], "shared loss"))
        for limit in dict.fromkeys(row["limit"] for row in rows):
            size = np.where(self.madds <= limit, self.madds, 0)
            rows.append(self.row(int(size.argmax()), limit, "size"))
        return rows


def collect(runs: Path, name: str, table: str) -> None:
    """Put what all complete runs found in place of the rows of this set."""
    folders = sorted((f for f in runs.iterdir() if complete(f)), key=lambda f: int(f.name))
    truth = trainings(name, read_json(folders[0] / "rank" / "result.json"))
    scores: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    space = SearchSpace.from_json(read_json(folders[0] / "train" / "result.json")["space"])
    published = Published(Path(table), space) if SETS[name].search else None
    for folder in folders:
        if published and (folder / "search" / "result.json").exists():
            about = {"set": name, "seed": int(folder.name)}
            found += [{**about, **row} for row in published.chosen(folder)]
        lines = read_rows(folder / "rank" / "scores.jsonl", origin=None)
        scores += scored(name, int(folder.name), lines)
    here = machine()
    for file, rows in (("table_truth", truth), ("table_scores", scores), ("table_chosen", found)):
        if kept := [*(row for row in known(file) if row["set"] != name), *rows]:
            save(file, kept, here)


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
        collect(own.runs, own.set, table)


if __name__ == "__main__":
    main()
