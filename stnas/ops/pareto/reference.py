"""Plain numpy twins of the Pareto operators and of the counting: their oracle and baseline."""

import numpy as np
from numpy.typing import NDArray


def count_madds(genotypes: NDArray[np.int8], table: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count every architecture: ``counts[i] = sum_g table[g, genotypes[i, g]]``."""
    counts: NDArray[np.int64] = table[np.arange(len(table)), genotypes].sum(axis=1)
    return counts


def nondominated_sort(objectives: NDArray[np.float64]) -> NDArray[np.int64]:
    """Peel front after front: rank r is what nothing dominates once ranks below r are gone."""
    no_worse: NDArray[np.bool_] = np.all(objectives[:, None] <= objectives[None], axis=2)
    dominates = no_worse & ~no_worse.T
    ranks = np.zeros(len(objectives), dtype=np.int64)
    left = np.ones(len(objectives), dtype=bool)
    while left.any():
        dominated = dominates[left].any(axis=0)
        ranks[left & dominated] += 1
        left &= dominated
    return ranks


def crowding_distance(objectives: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum ``(next_k - previous_k) / (max_k - min_k)`` over k, among the distinct points."""
    distances = np.zeros(len(objectives))
    if not len(objectives):
        return distances
    points, first = np.unique(objectives, axis=0, return_index=True)
    sums = np.full(len(points), np.inf if len(points) == 1 else 0.0)
    for values in points.T:
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        extent = np.ptp(values)
        if extent > 0:
            sums[order[1:-1]] += (ordered[2:] - ordered[:-2]) / extent
            sums[order[[0, -1]]] = np.inf
    distances[first] = sums
    return distances


def hypervolume(objectives: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Add up ``area(union_i [objectives[i], reference])`` strip by strip along the first axis."""
    better = objectives[(objectives < reference).all(axis=1)]
    bounds = np.unique(np.append(better[:, 0], reference[0]))
    lowest = [better[better[:, 0] <= left, 1].min() for left in bounds[:-1]]
    return float(np.sum(np.diff(bounds) * (reference[1] - np.array(lowest))))
