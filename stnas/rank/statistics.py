"""How well a ranking agrees with another: tau-b, top share, regret, intervals."""

import numpy as np
from numpy.typing import NDArray

from stnas.learn.ranks import Vector, signs

TOP = 0.1
"""Share of the architectures that counts as the top."""


def weighted_tau(first: Vector, second: Vector, counts: Vector) -> Vector:
    """Return Kendall's tau-b ``[B]`` of two rankings, given by ``signs``, in B samples.

    ``sum_ij c_i c_j s_ij t_ij / sqrt(sum_ij c_i c_j s_ij^2 sum_ij c_i c_j t_ij^2)``: pairs that
    are tied in a ranking leave its sum, copies of one row are tied in both. counts ``[B, n]``: how
    often a sample has each row. NaN where all rows of a sample are tied. Source: Kendall 1945.
    """

    def total(pairs: Vector) -> Vector:
        return ((counts @ pairs) * counts).sum(axis=1)  # type: ignore[no-any-return]

    spread = total(first * first) * total(second * second)
    with np.errstate(invalid="ignore", divide="ignore"):
        return total(first * second) / np.sqrt(spread)


def tau(first: Vector, second: Vector) -> float:
    """Return Kendall's tau-b of two vectors ``[n]``; NaN where one is constant."""
    return float(weighted_tau(signs(first), signs(second), np.ones((1, len(first))))[0])


def best_first(score: Vector, madds: Vector) -> NDArray[np.int64]:
    """Order the rows by falling score; of equal ones the cheaper comes first, as in the search."""
    return np.lexsort((madds, -score))


def top_precision(score: Vector, truth: Vector, madds: Vector) -> float:
    """Return the share of the truly best tenth, one row at least, that the score's tenth has."""
    count = max(1, round(TOP * len(truth)))
    chosen, best = (set(best_first(v, madds)[:count].tolist()) for v in (score, truth))
    return len(chosen & best) / count


def regret(score: Vector, truth: Vector, madds: Vector) -> float:
    """Return what is lost by taking the row with the best score instead of the truly best one."""
    return float(truth.max() - truth[best_first(score, madds)[0]])


def band_tau(score: Vector, truth: Vector, madds: Vector, bands: int) -> float:
    """Return the mean tau-b inside ranges of MAdds with equally many rows each.

    Ranges in which a vector is constant are left out; NaN where all are.
    """
    members = np.array_split(np.argsort(madds, kind="stable"), bands)
    inside = [tau(score[rows], truth[rows]) for rows in members if len(rows) > 1]
    known = [value for value in inside if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def resamples(count: int, samples: int, *, seed: int) -> Vector:
    """Draw how often each of ``count`` rows is in each bootstrap sample ``[samples, count]``."""
    rng = np.random.Generator(np.random.Philox(seed))
    return rng.multinomial(count, np.full(count, 1 / count), size=samples).astype(np.float64)


def interval(values: Vector) -> tuple[float, float]:
    """Return the central 95 % of bootstrap values; NaN where there is none."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def better_probability(samples: Vector) -> Vector:
    """Return ``P[a, b]``, the share of the samples ``[K, n]`` of a score where a beats b.

    A tie counts a half, so that ``P[a, b] + P[b, a] = 1``.
    """
    total = sum((signs(row) for row in samples), start=np.zeros((samples.shape[1],) * 2))
    chance: Vector = (total / len(samples) + 1) / 2
    return chance
