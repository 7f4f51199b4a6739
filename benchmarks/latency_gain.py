"""What a search by latency gains over one by multiply-adds, at equal measured latency.

    python benchmarks/latency_gain.py RUN --table RUN/latency/onnx-batch-1-threads-1.json

RUN: a run that is trained and sampled, such as that of ``stnas quickstart``. It is copied, and
searched twice with as many candidates, drawn from the same shared weights: once by multiply-adds,
once by the latency that the table predicts. The networks of both fronts are then measured whole, in
turn, by the program of the table, and written to ``results/latency_gain.csv`` with their loss on
held-out images under the shared weights.
"""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from record import load, machine, save

import stnas
from stnas.config.latency import LatencyOptions
from stnas.latency.command import network_call
from stnas.latency.timing import least_times
from stnas.store.files import read_json

NAME = "latency_gain"
COSTS = ("madds", "latency")
ROUNDS = 9


def searched(run: Path, table: Path, cost: str, *, generations: int) -> stnas.Run:
    """Search a copy of a run by a cost; both kinds evaluate as many candidates."""
    copy = Path(tempfile.mkdtemp()) / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("search", "verdict", "retrain"))
    known = stnas.Run(copy)
    search = replace(
        known.config.search,
        cost=cost,
        latency=str(table),
        limits=None,
        limit_shares=(0.06, 0.1, 0.16),
        population=40,
        generations=generations,
        random=0,
    )
    return stnas.Run(replace(known.config, search=search)).search()


def rows_of(found: stnas.Run, cost: str, options: LatencyOptions) -> list[dict[str, object]]:
    """Return the front of a search with what its networks take, measured whole."""
    space = found.record.space
    front = found.front
    calls = [network_call(space, space.parse(row["genotype"]), options, 1) for row in front]
    times = least_times(calls, rounds=ROUNDS, threads=1)
    return [
        {
            "search": cost,
            "genotype": row["genotype"],
            "madds": row["madds"],
            "measured_ns": round(taken),
            "loss": f"{row['loss']:.5f}",
            "accuracy": f"{row['accuracy']:.5f}",
        }
        for row, taken in zip(front, times, strict=True)
    ]


def least_loss(rows: Sequence[dict[str, str]], cost: str, budget: float) -> float:
    """Return the least loss among a front's networks that take no more than a budget."""
    own = [r for r in rows if r["search"] == cost and float(r["measured_ns"]) <= budget]
    return min((float(r["loss"]) for r in own), default=float("nan"))


def compare() -> None:
    """Print the least loss of both searches at budgets between the ends that they share."""
    rows = [dict(row) for row in load(NAME)]
    taken = {c: [float(r["measured_ns"]) for r in rows if r["search"] == c] for c in COSTS}
    low = max(min(own) for own in taken.values())
    high = min(max(own) for own in taken.values())
    gains = []
    print("| budget, us | loss, by multiply-adds | loss, by latency |\n| --- | --- | --- |")
    for budget in np.linspace(low, high, 7):
        by = [least_loss(rows, cost, float(budget)) for cost in COSTS]
        gains.append(by[0] - by[1])
        print(f"| {budget / 1e3:.1f} | {by[0]:.4f} | {by[1]:.4f} |")
    print(f"mean gain in loss over {len(gains)} budgets: {np.mean(gains):+.4f}")


def main() -> None:
    """Search, measure, write and compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--generations", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    backend = read_json(options.table)["backend"]
    latency = LatencyOptions(network=str(options.run), backend=backend)
    rows: list[dict[str, object]] = []
    for cost in COSTS:
        table = options.table.resolve()
        found = searched(options.run, table, cost, generations=options.generations)
        rows += rows_of(found, cost, latency)
        shutil.rmtree(found.folder.parent)
    save(NAME, rows, machine("onnxruntime"))
    compare()


if __name__ == "__main__":
    main()
