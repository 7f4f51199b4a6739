"""Time the counting of architectures beside a numpy gather.

    OMP_NUM_THREADS=1 python benchmarks/counting.py

Every row is the median of interleaved rounds in milliseconds, and the genes counted per nanosecond
(1e9 genes a second) on one thread and on two.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from draw import draw
from record import machine, save

from stnas.ops import count_madds
from stnas.ops.pareto import reference as pareto_reference

SMALL = [(90, 54, 11), (1000, 54, 11)]
LARGE = [(100_000, 54, choices) for choices in (11, 20, 40, 128)]
CASES = [*SMALL, *LARGE, (1_000_000, 54, 11)]
COLUMNS = ("stnas", "two_threads", "numpy", "times_numpy", "genes_per_ns", "genes_per_ns_two")
ROUNDS, SECONDS = 5, 3.0


def medians(systems: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the median milliseconds of every system, timed one after the other in every round."""
    times: dict[str, list[float]] = {name: [] for name in systems}
    end = time.perf_counter() + SECONDS
    while len(times["stnas"]) < ROUNDS or time.perf_counter() < end:
        for name, system in systems.items():
            start = time.perf_counter()
            system()
            times[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def measure(n: int, genes: int, choices: int) -> dict[str, str]:
    """Compare and time the ways to count n random architectures."""
    random = np.random.default_rng(n)
    genotypes = random.integers(0, choices, (n, genes)).astype(np.int8)
    table = random.integers(0, 10**8, (genes, choices))
    systems = {
        "stnas": lambda: count_madds(genotypes, table),
        "two_threads": lambda: count_madds(genotypes, table, threads=2),
        "numpy": lambda: pareto_reference.count_madds(genotypes, table),
    }
    for system in systems.values():
        np.testing.assert_array_equal(system(), systems["numpy"]())
    found = medians(systems)
    row = {"case": f"count_madds/{n}x{genes} of {choices}"}
    row |= {name: f"{value:.4f}" for name, value in found.items()}
    row["times_numpy"] = f"{found['numpy'] / found['stnas']:.1f}"
    row["genes_per_ns"] = f"{n * genes / found['stnas'] / 1e6:.2f}"
    row["genes_per_ns_two"] = f"{n * genes / found['two_threads'] / 1e6:.2f}"
    return row


def main() -> None:
    """Print and save the table, in milliseconds, and draw it."""
    about = machine("numpy")
    print(about, f"{'case':<32}" + "".join(f"{name:>18}" for name in COLUMNS), sep="\n")
    rows = []
    for case in CASES:
        rows.append(measure(*case))
        cells = "".join(f"{rows[-1][name]:>18}" for name in COLUMNS)
        print(f"{rows[-1]['case']:<32}{cells}", flush=True)
    save("counting", rows, about)
    draw("counting")


if __name__ == "__main__":
    main()
