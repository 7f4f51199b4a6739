"""A prior for spaces in which nothing is left out: dear choices become rarer, or more frequent."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stnas.space.draws import Chooser
from stnas.space.graph import Gene

if TYPE_CHECKING:
    from stnas.space.value import SearchSpace

EVEN = 0.5
"""The p_drop at which all choices are alike."""


@dataclass(frozen=True, eq=False)
class Tilt:
    """Choices with probability proportional to ``exp(-lambda * MAdds)``, genes independent.

    ``lambda = tan(pi (p_drop - 1/2)) / s`` with s the mean difference between a gene's dearest and
    cheapest choice: so the number that spaces with optional edges call p_drop goes from 0, where
    only the dearest network is left, over 1/2, where all are alike, to 1, the cheapest alone, and
    the mean MAdds fall strictly. madds: of the choices of every gene.
    """

    madds: tuple[NDArray[np.int64], ...]

    @classmethod
    def of(cls, space: "SearchSpace") -> "Tilt":
        """Return the prior of a space whose multiply-adds are a sum over the genes."""
        cost = space.madds_cost
        assert not cost.joints
        return cls(tuple(cost.rows()))

    def usual(self, p_drop: float) -> float:
        """Return the p_drop of training that has no aim: all choices are alike."""
        return EVEN

    def chances(self, genes: Sequence[Gene], p_drop: float) -> list[NDArray[np.float64]]:
        """Return the probability of each choice of each gene."""
        spans = [float(row.max() - row.min()) for row in self.madds]
        scale = sum(spans) / max(len(spans), 1) or 1.0
        return [tilted(row / scale, p_drop) for row in self.madds]

    def chooser(self, genes: Sequence[Gene], p_drop: float) -> Chooser:
        """Return what turns uniform numbers into genotypes."""
        return Inversion(self.chances(genes, p_drop))

    def solve(self, madds: float, expected: Callable[[float], float]) -> float:
        """Return the p_drop whose expected MAdds are ``madds``, by bisection.

        Raises ValueError unless ``madds`` lies strictly between the cheapest and the dearest.
        """
        least, most = expected(1.0), expected(0.0)
        if not least < madds < most:
            raise ValueError(
                f"train.madds must lie between the cheapest network and the dearest, in"
                f" ({least:,.0f}, {most:,.0f}), got {madds:,.0f}: choose a target inside, or change"
                " space.widths"
            )
        low, high = 0.0, 1.0
        while low < (middle := (low + high) / 2) < high:
            low, high = (low, middle) if expected(middle) <= madds else (middle, high)
        return high


def tilted(costs: NDArray[np.float64], p_drop: float) -> NDArray[np.float64]:
    """Return probabilities proportional to ``exp(-tan(pi (p_drop - 1/2)) costs)`` ``[choices]``."""
    if p_drop in (0.0, 1.0):
        best = costs == (costs.min() if p_drop else costs.max())
        return np.asarray(best / best.sum(), np.float64)
    if p_drop == EVEN:
        return np.full(len(costs), 1 / len(costs))
    slope = math.tan(math.pi * (p_drop - EVEN))
    powers = -slope * (costs - (costs.min() if slope > 0 else costs.max()))
    weights = np.exp(powers)
    return np.asarray(weights / weights.sum(), np.float64)


class Inversion:
    """Turns uniform numbers in [0, 1) ``[n, genes]`` into genotypes, int8 ``[n, genes]``."""

    def __init__(self, chances: Sequence[NDArray[np.float64]]) -> None:
        """Keep the ends of the choices' intervals; a choice of probability 0 has none."""
        self.ends = [np.cumsum(own)[:-1] for own in chances]

    def __call__(self, uniform: NDArray[np.float64]) -> NDArray[np.int8]:
        """Return the genotype of each row, by inversion."""
        columns = np.moveaxis(uniform, -1, 0)
        pairs = zip(self.ends, columns, strict=True)
        found = [np.searchsorted(ends, column, side="right") for ends, column in pairs]
        return np.ascontiguousarray(np.moveaxis(np.array(found, np.int8), 0, -1))
