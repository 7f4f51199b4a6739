"""What a search by latency gains over one by multiply-adds, at equal measured latency.

    stnas latency RUN --backend onnx --threads 1 --networks 60 --output TABLE
    python benchmarks/latency_gain.py search RUN... --table TABLE
    python benchmarks/latency_gain.py measure RUN --table TABLE
    python benchmarks/latency_gain.py retrain RUN... --work FOLDER
    python benchmarks/latency_gain.py tables [RUN --table TABLE]

RUN: finished runs of ``stnas quickstart`` with other seeds. Each was searched by multiply-adds;
``search`` searches a copy of it by the latency that the table predicts, from the same shared
weights, with as many candidates. Its limits are the latencies that multiply-adds and a constant,
fitted to the table's networks, predict at the run's own limits: both sides aim at networks of the
same size. ``measure`` measures the networks of all fronts whole, in turn, and the table's own, to
tell how fast the machine is beside then. Under each limit a side's choice is the network of the
least loss under the shared weights that takes no longer; ``retrain`` trains the choices from
scratch, as the run trains its own. With a table, ``tables`` says how it predicts the networks
of the fronts.
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from ranking_text import lines
from record import RESULTS, known, machine, save

import stnas
from stnas.config.latency import LatencyOptions
from stnas.latency.command import network_call
from stnas.latency.fit import trust
from stnas.latency.timing import least_times
from stnas.learn.comparison import t_975
from stnas.space import SearchSpace
from stnas.space.latency import LatencyTable
from stnas.store.files import read_json

FRONTS, TRAINED = "latency_gain", "latency_gain_retrained"
COSTS = ("madds", "latency")
ROUNDS = 9
SHORT = 30_000
"""Nanoseconds below which a network is a fast one."""
TRAININGS = 2
"""Of each choice: the spread of one is as large as what is looked for."""


def budgets(run: stnas.Run, table: dict[str, Any]) -> tuple[float, ...]:
    """Return the latencies of a run's limits by multiply-adds and a constant, in ns."""
    space = run.record.space
    fitted = [row for row in table["networks"] if row["fitted"]]
    madds = [int(space.madds(space.parse(row["genotype"])[None])[0]) for row in fitted]
    measured = np.array([row["measured"] for row in fitted])
    columns = np.stack([np.ones(len(madds)), np.array(madds, np.float64)], axis=1)
    (constant, slope), *_ = np.linalg.lstsq(
        columns / measured[:, None], np.ones(len(measured)), rcond=None
    )
    limits = [choice["limit"] for choice in read_json(run.folder / "search/result.json")["choices"]]
    return tuple(float(round(constant + slope * limit, -2)) for limit in limits)


def by_latency(run: stnas.Run, file: Path, limits: tuple[float, ...]) -> stnas.Run:
    """Search a copy of a run by the latency that a table predicts."""
    copy = Path(tempfile.mkdtemp()) / "run"
    copy.mkdir()
    shutil.copyfile(run.folder / "config.yaml", copy / "config.yaml")
    for stage in ("train", "sgld"):
        shutil.copytree(run.folder / stage, copy / stage)
    search = replace(
        run.config.search,
        cost="latency",
        latency=str(file.resolve()),
        limits=limits,
        limit_shares=None,
        random=0,
    )
    return stnas.Run(replace(run.config, run=str(copy), search=search)).search()


def search(runs: Sequence[Path], file: Path) -> None:
    """Write the fronts of both searches of each run."""
    table, rows = read_json(file), known(FRONTS)
    done = {row["run"] for row in rows}
    for run in map(stnas.Run, runs):
        if str(run.config.seed) in done:
            continue
        limits = budgets(run, table)
        found = by_latency(run, file, limits)
        for cost, front in zip(COSTS, (run.front, found.front), strict=True):
            rows += [
                {
                    "run": run.config.seed,
                    "search": cost,
                    "limits": " ".join(f"{limit:.0f}" for limit in limits),
                    "genotype": row["genotype"],
                    "madds": row["madds"],
                    "loss": f"{row['loss']:.5f}",
                }
                for row in front
            ]
        shutil.rmtree(found.folder.parent)
        save(FRONTS, rows, machine("onnxruntime"))


def measure(run: Path, file: Path) -> None:
    """Measure all networks whole, and scale the limits to the machine's speed of this hour."""
    table, rows = read_json(file), known(FRONTS)
    space = SearchSpace.from_json(read_json(run / "train/result.json")["space"])
    options = LatencyOptions(network=str(run), backend=table["backend"])
    texts = list(dict.fromkeys(row["genotype"] for row in (*table["networks"], *rows)))
    calls = [network_call(space, space.parse(text), options, 1) for text in texts]
    taken = dict(zip(texts, least_times(calls, rounds=ROUNDS, threads=1), strict=True))
    ratios = [taken[row["genotype"]] / row["measured"] for row in table["networks"]]
    for row in rows:
        row["measured_ns"] = round(taken[row["genotype"]])
        row["speed"] = f"{np.median(ratios):.4f}"
    save(FRONTS, rows, machine("onnxruntime"))


def choices() -> Iterator[tuple[dict[str, Any], str, int]]:
    """Give the network of the least loss of each run and side under each limit, and the limit."""
    rows = known(FRONTS)
    for run in dict.fromkeys(row["run"] for row in rows):
        for cost in COSTS:
            own = [row for row in rows if (row["run"], row["search"]) == (run, cost)]
            for name, limit in zip("AB", own[0]["limits"].split(), strict=True):
                most = int(limit) * float(own[0]["speed"])
                under = [row for row in own if float(row["measured_ns"]) <= most]
                if under:
                    yield min(under, key=lambda row: float(row["loss"])), name, int(limit)


def retrain(runs: Sequence[Path], work: Path) -> None:
    """Train the choices of each run from scratch, several times, and write their accuracies."""
    rows = known(TRAINED)
    done = {row["run"] for row in rows}
    for run in map(stnas.Run, runs):
        seed = str(run.config.seed)
        own = [choice for choice in choices() if choice[0]["run"] == seed]
        if seed in done or not own:
            continue
        texts = tuple(dict.fromkeys(row["genotype"] for row, _, _ in own))
        folder = Path(shutil.copytree(run.folder, work / seed, dirs_exist_ok=True))
        more = replace(
            run.config.retrain, genotypes=texts, random_twins=0, baselines=(), seeds=TRAININGS
        )
        trained = stnas.Run(replace(run.config, run=str(folder), retrain=more)).retrain().networks
        rows += [
            {
                "run": seed,
                "limit": limit,
                "name": name,
                **{key: row[key] for key in ("search", "genotype", "madds", "measured_ns", "loss")},
                "test_accuracy": network["test_accuracy"],
            }
            for row, name, limit in own
            for network in trained
            if network["genotype"] == row["genotype"]
        ]
        save(TRAINED, rows, machine())
        shutil.rmtree(folder)


def tables() -> str:
    """Tabulate both sides under each limit: loss, and accuracy from scratch, by pairs of a run."""
    shared = {(row["run"], name, row["search"]): row for row, name, _ in choices()}
    trained: dict[tuple[str, str, str], list[float]] = {}
    for row in known(TRAINED):
        place = row["run"], row["name"], row["search"]
        trained.setdefault(place, []).append(100 * float(row["test_accuracy"]))
    accuracies = {place: float(np.mean(found)) for place, found in trained.items()}
    body = []
    for what, digits, found in (
        ("loss", 3, {place: float(row["loss"]) for place, row in shared.items()}),
        ("measured, us", 1, {p: float(row["measured_ns"]) / 1e3 for p, row in shared.items()}),
        ("MAdds, thousands", 0, {p: float(row["madds"]) / 1e3 for p, row in shared.items()}),
        ("test accuracy, %", 2, accuracies),
    ):
        for name in "AB":
            runs = [run for run, own, _ in found if own == name]
            both = [r for r in dict.fromkeys(runs) if runs.count(r) == len(COSTS)]
            if len(both) < 2:
                continue
            sides = [np.array([found[run, name, cost] for run in both]) for cost in COSTS]
            means = [f"{own.mean():.{digits}f}" for own in sides]
            gap = difference(sides[1] - sides[0], digits)
            body.append([f"{what}, {name}", str(len(both)), *means, gap])
    head = ("", "runs", "by multiply-adds", "by latency", "difference (95 %)")
    return lines(head, body)


def difference(gaps: NDArray[np.float64], digits: int) -> str:
    """Write a mean of two or more with its 95 % interval by Student's t."""
    mean = float(gaps.mean())
    half = t_975(len(gaps) - 1) * float(gaps.std(ddof=1)) / len(gaps) ** 0.5
    return f"{mean:+.{digits}f} ({mean - half:+.{digits}f} to {mean + half:+.{digits}f})"


def agreement(run: Path, file: Path) -> str:
    """Say how a table predicts the networks of the fronts, and those below 30 us."""
    table, rows = LatencyTable.from_json(read_json(file)), known(FRONTS)
    taken = {row["genotype"]: float(row["measured_ns"]) for row in rows}
    space = SearchSpace.from_json(read_json(run / "train/result.json")["space"])
    predicted = table.cost(space)(np.stack([space.parse(text) for text in taken])).astype(float)
    measured = np.array(list(taken.values()))
    short = measured < SHORT
    return f"all: {trust(predicted, measured)}\nshort: {trust(predicted[short], measured[short])}"


def main() -> None:
    """Take a step, and print what is known by then."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("step", choices=("search", "measure", "retrain", "tables"))
    parser.add_argument("runs", type=Path, nargs="*")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--work", type=Path, default=Path("latency-gain"))
    words = parser.parse_args()
    torch.set_num_threads(1)
    if words.step == "search":
        search(words.runs, words.table)
    elif words.step == "measure":
        measure(words.runs[0], words.table)
    elif words.step == "retrain":
        retrain(words.runs, words.work)
    if (RESULTS / f"{FRONTS}.csv").exists() and words.step != "search":
        print(tables())
    if words.step == "tables" and words.table:
        print(agreement(words.runs[0], words.table))


if __name__ == "__main__":
    main()
