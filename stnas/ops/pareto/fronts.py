"""Pareto operators of a multi-objective search; every objective is minimised.

Points are float64 ``[n, m]``, one a row. Arrays that are not contiguous are copied. A wrong kind or
dtype raises TypeError: nothing is converted in silence. Another number of axes, no objectives and
NaN raise ValueError. No points give an empty result.
"""

import numpy as np
from numpy.typing import NDArray

from stnas import _core


def nondominated_sort(objectives: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rank points by fronts: ``rank[i] = max(-1, rank[j] for all j that dominate i) + 1``.

    j dominates i if it is no worse in every objective and better in one, so equal points share a
    front and rank 0 is the Pareto front.

    objectives: float64 ``[n, m]``, any ``m >= 1``; infinities are allowed and ordered. Returns
    int64 ``[n]``. Time is O(n log n) up to two objectives; for more, sets of some thousand
    points are compared pair by pair in vectors and larger ones divided, O(n log^(m-1) n).

    Source: the fronts of Deb et al. 2002 (NSGA-II, section III-A); the algorithm of Jensen 2003
    with the division of Buzdalov and Shalyto 2014.
    """
    return _core.nondominated_sort(objectives)


def crowding_distance(objectives: NDArray[np.float64]) -> NDArray[np.float64]:
    """Measure the room around each point: ``sum_k (next_k - previous_k) / (max_k - min_k)``.

    next and previous are the neighbours in objective k. Either end of an objective is at infinity;
    an objective in which all points are equal adds nothing. A copy of an earlier row gets 0 and is
    nobody's neighbour. Points that are equal in one objective alone follow each other in
    lexicographic order, so a permutation of distinct rows permutes the result.

    objectives: the points of one front, float64 ``[n, m]``, finite (an infinity raises ValueError).
    Returns float64 ``[n]``.

    Source: Deb et al. 2002 (NSGA-II, section III-B). It is the sum over the objectives, not their
    mean.
    """
    return _core.crowding_distance(objectives)


def hypervolume(objectives: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Measure what the points dominate: ``volume(union_i [objectives[i], reference])``.

    A point that is not better than the reference in every objective adds nothing, so inf may mark
    a failure; -inf, and a volume beyond the largest double, give inf.

    objectives: float64 ``[n, 2]`` (an area) or ``[n, 3]``. reference: float64 ``[2]`` or ``[3]``.

    Source: the S-metric of Zitzler and Thiele 1998, by a sweep in O(n log n): Fonseca et al. 2006
    for three objectives.
    """
    return _core.hypervolume(objectives, reference)
