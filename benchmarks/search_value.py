"""Run a recipe with several seeds, and tell what its search was worth.

    python benchmarks/search_value.py --work FOLDER --seeds 10 -- --config quickstart

What stands after ``--`` goes to ``stnas run``. Each seed's run stays in ``FOLDER/<seed>``, so a run
that was stopped goes on, and one that has ended adds a row for each of its networks to
``results/search_value.csv`` or the table that ``--table`` names; the same command does the rest.
The tables of docs/search-value.md are made by ``search_value_tables.py``.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from record import known, machine, save

COLUMNS = ("name", "role", "genotype", "madds", "params", "test_accuracy")
STAGES = ("train", "sgld", "search", "verdict", "retrain")


def rows_of(folder: Path, seed: int) -> list[dict[str, Any]]:
    """Return a row for each network of a run that has ended."""
    results = {s: json.loads((folder / s / "result.json").read_text()) for s in STAGES}
    limits = {choice["name"]: choice["limit"] for choice in results["verdict"]["choices"]}
    seconds = {f"{stage}_seconds": round(results[stage]["seconds"]) for stage in STAGES}
    return [
        {
            "seed": seed,
            "limit": round(limits[network["name"].partition("-")[0]]),
            **{column: network[column] for column in COLUMNS},
            **seconds,
        }
        for network in results["retrain"]["networks"]
    ]


def main() -> None:
    """Run the seeds whose rows are missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--table", default="search_value", metavar="NAME")
    parser.add_argument("options", nargs="*", help="options of stnas run, after --")
    own = parser.parse_args()
    rows = known(own.table)
    done = {int(row["seed"]) for row in rows}
    for seed in range(own.first, own.first + own.seeds):
        if seed in done:
            continue
        folder = own.work / str(seed)
        words = ["run", *own.options, "--run", str(folder), "--seed", str(seed)]
        subprocess.run([sys.executable, "-m", "stnas", *words], check=True)
        rows += rows_of(folder, seed)
        save(own.table, rows, machine())


if __name__ == "__main__":
    main()
