"""Search cells by gradients, and say what the cells found are worth.

    python benchmarks/cell_search.py --work FOLDER --data FOLDER [--seeds 3] \\
        [--strategies darts1 gdas] [--sharings none merge merge-raw]
    python benchmarks/cell_search.py --space darts --work FOLDER [--seeds 3] \\
        [--strategies darts1 pcdarts] [--sharings none float]

Every search is a run in its own folder, so what was stopped goes on. In ``nb201`` it is one of the
recipe of that name (``--data``: CIFAR-10, as ``--data.path`` takes it), and each that has ended
adds a row to ``results/cell_search.csv``: the cell, its true accuracies by the benchmark's tables
(the extra ``bench``), and the mean entropy of the shares at the end. ``merge-raw`` is the level
merge without kernel normalisation. In ``darts`` the images are the embedded ones of Fashion-MNIST,
and ``results/cell_search_darts.csv`` gets the accuracies of the cell and of random cells of its
multiply-adds, all trained alike. ``cell_search_tables.py`` makes the tables of docs/toponas.md.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from record import known, machine, save

from stnas.store.files import read_json, read_rows

SHARINGS = {
    "none": ("--sharing.level", "none"),
    "merge": ("--sharing.level", "merge"),
    "merge-raw": ("--sharing.level", "merge", "--sharing.kernel_norm", "none"),
    "float": ("--sharing.level", "float"),
}
RETRAIN = {
    "epochs": 5,
    "batch_size": 64,
    "learning_rate": 0.1,
    "warmup_epochs": 1,
    "random_twins": 1,
}
SPACES = {
    "nb201": ("--config", "nb201"),
    "darts": (
        "--space.family=darts",
        "--space.profile=micro",
        "--train.epochs=5",
        "--train.batch_size=64",
        "--train.learning_rate=0.025",
        "--alpha.learning_rate=0.01",
        *(f"--retrain.{name}={value}" for name, value in RETRAIN.items()),
    ),
}
"""Settings of a search; in ``darts`` those of a comparison, where strategies have the same."""


def row_of(run: Path) -> dict[str, Any]:
    """Return what a run that has ended found."""
    results = {file.parent.name: read_json(file) for file in run.glob("*/result.json")}
    metrics = read_rows(run / "metrics.jsonl", origin=None)
    last = [row for row in metrics if "entropy" in row][-1]
    found = {"cell": results["train"]["derived"], "entropy": f"{last['entropy']:.4f}"}
    truths = results["search"].get("truth", [])
    for row in truths:
        found[row["table"].removeprefix("nasbench201-")] = f"{row['accuracy']:.5f}"
    if truths:
        return {**found, "place": truths[0]["place"]}
    own, *twins = results["retrain"]["networks"]
    return {
        **found,
        "madds": own["madds"],
        "accuracy": f"{own['test_accuracy']:.5f}",
        **{f"random_{i}": f"{row['test_accuracy']:.5f}" for i, row in enumerate(twins, 1)},
    }


def main() -> None:
    """Run the searches whose rows are missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--space", choices=SPACES, default="nb201")
    parser.add_argument("--work", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--data", help="CIFAR-10; default: the embedded images")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--strategies", nargs="+", default=["darts1", "gdas"])
    parser.add_argument("--sharings", nargs="+", choices=SHARINGS, default=["none", "merge"])
    own = parser.parse_args()
    name = "cell_search" if own.space == "nb201" else f"cell_search_{own.space}"
    rows = known(name)
    done = {(row["strategy"], row["sharing"], int(row["seed"])) for row in rows}
    for seed in range(own.first, own.first + own.seeds):
        for strategy in own.strategies:
            for sharing in own.sharings:
                if (strategy, sharing, seed) in done:
                    continue
                run = own.work / f"{strategy}-{sharing}-{seed}"
                words = [*SPACES[own.space], "--run", str(run), "--seed", str(seed)]
                words += ["--train.strategy", strategy, *SHARINGS[sharing]]
                words += ["--data.path", own.data] if own.data else []
                subprocess.run([sys.executable, "-m", "stnas", "run", *words], check=True)
                rows.append({"strategy": strategy, "sharing": sharing, "seed": seed, **row_of(run)})
                save(name, rows, machine())


if __name__ == "__main__":
    main()
