"""Time the Pareto operators and the counting beside numpy, moocore and pymoo, on one thread.

    OMP_NUM_THREADS=1 python benchmarks/pareto.py [CSV]

Every row is the best of several calls on the same random points, in milliseconds; results are
compared before they are timed. The twin in numpy needs memory in n^2 and is left out where n is
large.
"""

import csv
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import moocore
import numpy as np
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from stnas import ops
from stnas.ops import pareto_reference

CORNER = np.ones(2)
SYSTEMS = ("stnas", "numpy", "moocore", "pymoo")


@dataclass(frozen=True)
class Case:
    """One operator on one input, by every system that has it."""

    name: str
    arguments: tuple[Any, ...]
    systems: dict[str, Callable[..., Any]]


def sort_with_pymoo(points: np.ndarray) -> np.ndarray:
    """Rank points by the fronts of pymoo."""
    ranks = np.zeros(len(points), dtype=np.int64)
    for rank, front in enumerate(NonDominatedSorting().do(points)):
        ranks[front] = rank
    return ranks


def point_cases(n: int, m: int) -> list[Case]:
    """Make the cases on n random points with m objectives."""
    points = np.random.default_rng([n, m]).random((n, m))
    small = {"numpy": pareto_reference.nondominated_sort} if n <= 1000 else {}
    sort = {"stnas": ops.nondominated_sort, **small, "moocore": moocore.pareto_rank}
    crowding = {
        "stnas": ops.crowding_distance,
        "numpy": pareto_reference.crowding_distance,
        "pymoo": lambda points: calc_crowding_distance(points) * m,
    }
    cases = [
        Case(f"nondominated_sort/{n}x{m}", (points,), {**sort, "pymoo": sort_with_pymoo}),
        Case(f"crowding_distance/{n}x{m}", (points,), crowding),
    ]
    if m == 2:
        volume = {
            "stnas": ops.hypervolume,
            "numpy": pareto_reference.hypervolume,
            "moocore": lambda points, corner: moocore.hypervolume(points, ref=corner),
        }
        cases.append(Case(f"hypervolume/{n}x{m}", (points, CORNER), volume))
    return cases


def counting_case(n: int, genes: int, choices: int) -> Case:
    """Make the case of counting n random architectures."""
    random = np.random.default_rng(n)
    genotypes = random.integers(0, choices, (n, genes)).astype(np.int8)
    table = random.integers(0, 10**8, (genes, choices))
    systems = {"stnas": ops.count_madds, "numpy": pareto_reference.count_madds}
    return Case(f"count_madds/{n}x{genes}", (genotypes, table), systems)


def best_milliseconds(work: Callable[[], Any], *, seconds: float = 0.5) -> float:
    """Return the shortest of the calls that fit into the time, of three at least."""
    shortest, calls, end = float("inf"), 0, time.perf_counter() + seconds
    while calls < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        shortest, calls = min(shortest, time.perf_counter() - start), calls + 1
    return shortest * 1e3


def measure(case: Case) -> dict[str, str]:
    """Compare and time every system of a case."""
    expected = case.systems["stnas"](*case.arguments)
    row = {"case": case.name}
    for name, system in case.systems.items():
        np.testing.assert_allclose(system(*case.arguments), expected, rtol=1e-9)
        row[name] = f"{best_milliseconds(lambda run=system: run(*case.arguments)):.4f}"
    return row


def versions() -> str:
    """Name the machine and the releases that were timed."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "moocore", "pymoo"))
    return f"{platform.machine()}, Python {platform.python_version()}, {packages}, one thread"


def main() -> None:
    """Print the table and, where a path is given, save it as CSV."""
    cases = [case for n in (90, 1000, 10_000) for m in (2, 3, 5) for case in point_cases(n, m)]
    cases += [counting_case(n, 54, 11) for n in (1000, 100_000)]
    print(
        versions(), f"{'milliseconds':<32}" + "".join(f"{name:>10}" for name in SYSTEMS), sep="\n"
    )
    rows = []
    for case in cases:
        rows.append(measure(case))
        times = "".join(f"{rows[-1].get(name, '-'):>10}" for name in SYSTEMS)
        print(f"{case.name:<32}{times}", flush=True)
    if len(sys.argv) > 1:
        with Path(sys.argv[1]).open("w", newline="") as file:
            file.write(f"# milliseconds, {versions()}\n")
            writer = csv.DictWriter(file, ["case", *SYSTEMS], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
