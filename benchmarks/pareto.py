"""Time the Pareto operators beside numpy, moocore, pymoo and pygmo, on one thread.

    OMP_NUM_THREADS=1 python benchmarks/pareto.py

Every row is the median of interleaved rounds on the same random points, in milliseconds; results
are compared before they are timed. The twin in numpy needs memory in n^2 and pygmo time in n^2:
they are left out where n is large. pygmo is left out where it is not installed.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import moocore
import numpy as np
from draw import draw
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting
from record import machine, save

from stnas import ops
from stnas.ops.pareto import reference as pareto_reference

try:
    import pygmo
except ImportError:
    pygmo = None

SYSTEMS = ("stnas", "numpy", "moocore", "pymoo", "pygmo")
ROUNDS, SECONDS = 5, 1.5


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


def sort_with_pygmo(points: np.ndarray) -> np.ndarray:
    """Rank points by pygmo."""
    return np.asarray(pygmo.fast_non_dominated_sorting(points)[3], dtype=np.int64)


def sort_case(points: np.ndarray) -> Case:
    """Make the case of ranking points."""
    systems = {"stnas": ops.nondominated_sort, "moocore": moocore.pareto_rank}
    if len(points) <= 1000:
        systems["numpy"] = pareto_reference.nondominated_sort
    if len(points) <= 10_000:
        systems["pymoo"] = sort_with_pymoo
    if pygmo and len(points) <= 10_000:
        systems["pygmo"] = sort_with_pygmo
    return Case("nondominated_sort/{}x{}".format(*points.shape), (points,), systems)


def crowding_case(points: np.ndarray) -> Case:
    """Make the case of crowding distances, of which pymoo's are means over the objectives."""
    systems = {
        "stnas": ops.crowding_distance,
        "numpy": pareto_reference.crowding_distance,
        "pymoo": lambda points: calc_crowding_distance(points) * points.shape[1],
    }
    return Case("crowding_distance/{}x{}".format(*points.shape), (points,), systems)


def volume_case(points: np.ndarray) -> Case:
    """Make the case of the hypervolume below the corner of ones."""
    systems = {
        "stnas": ops.hypervolume,
        "moocore": lambda points, corner: moocore.hypervolume(points, ref=corner),
    }
    if pygmo and len(points) <= 1000:
        systems["pygmo"] = lambda points, corner: pygmo.hypervolume(points).compute(corner)
    corner = np.ones(points.shape[1])
    return Case("hypervolume/{}x{}".format(*points.shape), (points, corner), systems)


def all_cases() -> list[Case]:
    """List the cases: random points in the unit cube, and fronts on the simplex for volumes."""
    cases = []
    for n, m in [(n, m) for n in (90, 1000, 10_000, 100_000) for m in (2, 3, 5)]:
        random = np.random.default_rng([n, m])
        points = random.random((n, m))
        if n <= 10_000 or m == 2:
            cases.append(sort_case(points))
        if n <= 10_000:
            cases.append(crowding_case(points))
        if n <= 10_000 and m <= 3:
            cases.append(volume_case(random.dirichlet(np.ones(m), n)))
    return cases


def medians(case: Case) -> dict[str, float]:
    """Return the median milliseconds of every system, timed one after the other in every round."""
    times: dict[str, list[float]] = {name: [] for name in case.systems}
    end = time.perf_counter() + SECONDS
    while len(times["stnas"]) < ROUNDS or time.perf_counter() < end:
        for name, system in case.systems.items():
            if len(times[name]) >= ROUNDS and sum(times[name]) > 1e3 * SECONDS / 3:
                continue
            start = time.perf_counter()
            system(*case.arguments)
            times[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def measure(case: Case) -> dict[str, str]:
    """Compare and time every system of a case."""
    expected = case.systems["stnas"](*case.arguments)
    for system in case.systems.values():
        np.testing.assert_allclose(system(*case.arguments), expected, rtol=1e-9)
    return {"case": case.name} | {name: f"{value:.4f}" for name, value in medians(case).items()}


def main() -> None:
    """Print and save the table, in milliseconds, and draw it."""
    about = machine(*SYSTEMS[1:])
    print(about, f"{'milliseconds':<32}" + "".join(f"{n:>10}" for n in SYSTEMS), sep="\n")
    rows = []
    for case in all_cases():
        rows.append(measure(case))
        times = "".join(f"{rows[-1].get(name, '-'):>10}" for name in SYSTEMS)
        print(f"{case.name:<32}{times}", flush=True)
    save("pareto", rows, about)
    draw("pareto")


if __name__ == "__main__":
    main()
