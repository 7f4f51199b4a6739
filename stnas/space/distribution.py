"""The distribution of a cost over random architectures, by convolution of the genes' costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

MAX_POINTS = 2**22
"""Default limit of the grid; parity, small, micro and nano stay below it and are exact."""


@dataclass(frozen=True, eq=False)
class CostDistribution:
    """Hold the costs that have a positive probability, rising, and their probabilities.

    values: int64 ``[k]``. probabilities: float64 ``[k]``. spacing: grid step. exact: no
    cost was rounded; otherwise each cost lies between two grid points that share its probability
    so that the mean is kept, a value is off by less than ``genes * spacing`` and the variance too
    large by at most ``genes * spacing**2 / 4``.
    """

    values: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    spacing: int
    exact: bool

    @property
    def mean(self) -> float:
        """Return ``sum_k p_k v_k``."""
        return float(self.probabilities @ self.values)

    @property
    def variance(self) -> float:
        """Return ``sum_k p_k (v_k - mean)^2``."""
        return float(self.probabilities @ (self.values - self.mean) ** 2)

    def quantile(self, q: float) -> int:
        """Return the smallest value whose cumulative probability reaches ``q`` in [0, 1]."""
        if not 0 <= q <= 1:
            raise ValueError(f"q must lie in [0, 1], got {q}: 0.5 is the median")
        cumulative = np.cumsum(self.probabilities)
        place = int(np.searchsorted(cumulative, q * cumulative[-1], side="left"))
        return int(self.values[min(place, len(self.values) - 1)])


def convolve_genes(
    chances: Sequence[NDArray[np.float64]],
    costs: Sequence[NDArray[np.int64]],
    *,
    fixed: int,
    max_points: int,
) -> CostDistribution:
    """Convolve the genes' costs of their choices on the grid of their greatest common divisor.

    chances: the probabilities of the choices. Where that grid would have more than ``max_points``
    points, the spacing becomes the smallest multiple of the divisor that fits.
    """
    lows = [int(cost.min()) for cost in costs]
    spans = [cost - low for cost, low in zip(costs, lows, strict=True)]
    unit = gcd(*(int(span) for gene_spans in spans for span in gene_spans)) or 1
    spacing = _spacing(sum(int(span.max()) for span in spans), unit, len(chances), max_points)
    density = np.ones(1)
    for own, span in sorted(zip(chances, spans, strict=True), key=lambda pair: pair[1].max()):
        density = _add_gene(density, span, own, spacing)
    points = np.flatnonzero(density)
    values = fixed + sum(lows) + points.astype(np.int64) * spacing
    return CostDistribution(values, density[points], spacing, spacing == unit)


def empirical(costs: NDArray[np.int64]) -> CostDistribution:
    """Return the distribution of a sample ``[n]``."""
    values, counts = np.unique(costs, return_counts=True)
    return CostDistribution(values, counts / len(costs), 1, False)


def _spacing(total: int, unit: int, genes: int, max_points: int) -> int:
    if max_points <= 2 * genes:
        raise ValueError(
            f"max_points must be more than twice the {genes} genes, got {max_points}: give"
            f" {2 * genes + 1} or more"
        )
    if total // unit + 1 <= max_points:
        return unit
    return unit * -(-total // (unit * (max_points - 1 - genes)))


def _add_gene(
    density: NDArray[np.float64],
    span: NDArray[np.int64],
    weights: NDArray[np.float64],
    spacing: int,
) -> NDArray[np.float64]:
    cell, rest = np.divmod(span, spacing)
    upper = weights * (rest / spacing)
    parts = np.bincount(np.concatenate([cell, cell + 1]), np.concatenate([weights - upper, upper]))
    places = np.flatnonzero(parts)
    out = np.zeros(len(density) + int(places[-1]))
    scaled = np.empty_like(density)
    for place in places:
        np.multiply(density, parts[place], out=scaled)
        out[place : place + len(density)] += scaled
    return out
