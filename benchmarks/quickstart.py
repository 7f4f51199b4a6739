"""Run the quickstart with the fused and the plain choice block: time a stage, and accuracy.

    python benchmarks/quickstart.py --seeds 3 -- --train.epochs 10

What stands after ``--`` is passed on to both. Writes one line a run, as soon as it is done, to
``benchmarks/results/quickstart.csv``, or to the table that ``--table`` names, such as one of
another processor.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from record import machine, save

STAGES = ("train", "sgld", "search", "retrain")


def measure(kernels: str, seed: int, options: list[str]) -> dict[str, Any]:
    """Run the quickstart once and collect seconds a stage and mean accuracies."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["quickstart", "--run", folder, "--kernels", kernels, "--seed", str(seed)]
        subprocess.run([sys.executable, "-m", "stnas", *words, *options], check=True)
        results = {s: json.loads((Path(folder) / s / "result.json").read_text()) for s in STAGES}
    seconds = {stage: round(result["seconds"], 1) for stage, result in results.items()}
    networks = results["retrain"]["networks"]

    def mean(key: str, *roles: str) -> float:
        return round(statistics.mean(n[key] for n in networks if n["role"] in roles), 4)

    return {
        "kernels": kernels,
        "seed": seed,
        "options": " ".join(options),
        **seconds,
        "total": round(sum(seconds.values()), 1),
        "evaluated": results["search"]["evaluated"],
        "shared": mean("test_accuracy_before", "chosen", "random"),
        "chosen": mean("test_accuracy", "chosen"),
        "random": mean("test_accuracy", "random"),
    }


def main() -> None:
    """Alternate the kernels over the seeds and print medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--table", default="quickstart", metavar="NAME")
    parser.add_argument("options", nargs="*", help="options of stnas quickstart, after --")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        for kernels in ("fused", "reference"):
            rows.append(measure(kernels, seed, arguments.options))
            save(arguments.table, rows, machine())
    for column in (*STAGES, "total"):
        fused, plain = (
            statistics.median(float(str(row[column])) for row in rows if row["kernels"] == kernels)
            for kernels in ("fused", "reference")
        )
        print(f"{column}: fused {fused:.1f} s, reference {plain:.1f} s, {plain / fused:.2f} times")
    for column in ("shared", "chosen", "random"):
        for kernels in ("fused", "reference"):
            found = [row[column] for row in rows if row["kernels"] == kernels]
            print(f"test accuracy, {column}, {kernels}: {found}")


if __name__ == "__main__":
    main()
