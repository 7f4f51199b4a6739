"""The probabilities of choices, and the p_drop that aims them at a cost."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stnas.space.graph import Gene


def choice_probabilities(gene: Gene, p_drop: float) -> NDArray[np.float64]:
    """Return the probability of each choice (Guo et al. 2020, equations 2 and 5).

    Choice 0 of an optional gene has ``p_drop``; all others of a gene are alike.
    """
    count = gene.operations
    if not gene.optional:
        return np.full(count, 1 / count)
    return np.array([p_drop, *[(1 - p_drop) / count] * count])


def drop_probabilities(genes: Sequence[Gene], p_drop: float) -> NDArray[np.float64]:
    """Return the probability that a gene leaves something out ``[genes]``."""
    return np.array([p_drop if gene.optional else 0.0 for gene in genes])


def solve_p_drop(madds: float, *, at_zero: float, at_one: float) -> float:
    """Return ``(C(0) - madds) / (C(0) - C(1))``, the p_drop whose expected MAdds are ``madds``.

    at_zero, at_one: expected MAdds at p_drop 0 and 1 (Guo et al. 2020, equation 4, affine in
    p_drop). Raises ValueError outside the reachable range.
    """
    if at_zero == at_one:
        raise ValueError(
            "p_drop must act on branch edges, got a chain space without any: set"
            " space.branch_distances, or give no MAdds target"
        )
    if not at_one <= madds <= at_zero:
        raise ValueError(
            f"madds must lie in the reachable range [{at_one:,.0f}, {at_zero:,.0f}] of expected"
            f" MAdds, got {madds:,.0f}: choose a target inside, or change space.widths"
        )
    return float((at_zero - madds) / (at_zero - at_one))


def check_p_drop(p_drop: float) -> float:
    """Return ``p_drop`` as a float; raise unless it is a number in [0, 1]."""
    if isinstance(p_drop, bool) or not isinstance(p_drop, int | float | np.number):
        raise TypeError(f"p_drop must be a number, got {p_drop!r}: give one in [0, 1]")
    if not 0 <= p_drop <= 1:
        raise ValueError(
            f"p_drop must lie in [0, 1], got {p_drop}: it is the probability that a branch edge is"
            " none"
        )
    return float(p_drop)
