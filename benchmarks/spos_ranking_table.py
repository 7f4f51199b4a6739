"""Kendall's tau-b of the rankings of ``spos_ranking``, with intervals over networks and seeds."""

from itertools import combinations
from typing import Any

import numpy as np
from ranking_study import Vector, rounded
from record import Row

from stnas.rank.analysis import Reality, ceiling, judge, resampled_tau
from stnas.rank.estimators import Estimator, baselines
from stnas.rank.statistics import interval, tau

RESAMPLES = 2000
REFERENCE = ("uniform", "own", "accuracy")
"""The case, BN statistics and measure that others are compared with."""


def table(truth: list[Row], scores: list[Row]) -> list[dict[str, Any]]:
    """Return a row a case, kind of BN statistics and measure, the sizes alone, and the ceiling."""
    accuracies = [
        [float(row[key]) for key in row if key.startswith("accuracy_") and row[key]]
        for row in truth
    ]
    sizes = {key: np.array([float(row[key]) for row in truth]) for key in ("madds", "params")}
    reality = Reality.make(accuracies, sizes["madds"], bands=3, count=RESAMPLES)
    found: dict[tuple[str, ...], list[Estimator]] = {
        (own.way, "", ""): [own] for own in baselines(sizes)
    }
    for row in scores:
        sign = 1 if row["measure"] == "accuracy" else -1
        values = np.array([[sign * float(row[f"a{i}"]) for i in range(len(truth))]])
        own = Estimator(row["case"], "checkpoint", "", "", values)
        key = (row["case"], row["statistics"], row["measure"])
        found.setdefault(key, []).append(own)
    drawn = {key: resampled(own, reality) for key, own in found.items()}
    rows = [figures(key, own, reality, drawn) for key, own in found.items()]
    return [*rows, rounded({"case": "one training by another", **ceiling(reality)})]


def resampled(own: list[Estimator], reality: Reality) -> Vector:
    """Return the mean tau-b over the seeds in each sample ``[B]`` of networks and seeds."""
    taus, count = np.stack([resampled_tau(each, reality) for each in own]), len(own)
    rng = np.random.Generator(np.random.Philox(2))
    counts = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES) / count
    means: Vector = (taus.T * counts).sum(axis=1)
    return means


def figures(
    key: tuple[str, ...],
    own: list[Estimator],
    reality: Reality,
    drawn: dict[tuple[str, ...], Vector],
) -> dict[str, Any]:
    """Return the means over the seeds of one row, with intervals.

    mean: of the measure over networks and seeds. gain: tau-b less that of the reference, on the
    same samples. seed_tau: mean tau-b between two seeds.
    """
    each = [judge(estimator, reality, reference=None) for estimator in own]
    low, high = interval(drawn[key])
    between = [tau(a.values[0], b.values[0]) for a, b in combinations(own, 2)]
    numbers: dict[str, Any] = {
        "seeds": len(own),
        "mean": np.mean([np.abs(each.values) for each in own]),
        "n": len(reality.madds),
        "tau": np.mean([row["tau"] for row in each]),
        "tau_low": low,
        "tau_high": high,
        "tau_min": min(row["tau"] for row in each),
        "tau_max": max(row["tau"] for row in each),
        "seed_tau": np.mean(between) if between else None,
        "top_precision": np.mean([row["top_precision"] for row in each]),
        "regret": np.mean([row["regret"] for row in each]),
    }
    if REFERENCE in drawn:
        low, high = interval(drawn[key] - drawn[REFERENCE])
        numbers |= {"gain_low": low, "gain_high": high}
    names = dict(zip(("case", "statistics", "measure"), key, strict=True))
    return {**names, **rounded(numbers)}
