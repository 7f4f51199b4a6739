"""Fit a table of parts to whole networks, and tell how far it can be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stnas.learn.ranks import spearman
from stnas.space import Genotypes, SearchSpace
from stnas.space.latency import LatencyTable, measured_as


@dataclass(frozen=True)
class Trust:
    """How predictions agree with measurements of networks that took no part in the fit.

    median, worst: shares of the measured latency. correlation: Spearman's; NaN where all
    are alike.
    """

    networks: int
    median: float
    worst: float
    correlation: float

    def __str__(self) -> str:
        """Say it in a line."""
        return (
            f"{self.networks} other networks: median error {100 * self.median:.1f} %, largest "
            f"{100 * self.worst:.1f} %, rank correlation {self.correlation:.3f}"
        )


def features(
    space: SearchSpace, genotypes: Genotypes, parts: Mapping[str, float]
) -> NDArray[np.float64]:
    """Return 1, the sum of the parts' times, the numbers of parts and of identities ``[n, 4]``."""
    rows = []
    for genotype in genotypes:
        arcs = space.arcs_of(genotype)
        times = [parts[measured_as(arc)] for arc in arcs if arc.part is not None]
        rows.append([1.0, sum(times), len(times), len(arcs) - len(times)])
    return np.array(rows, np.float64)


def fit(
    space: SearchSpace,
    genotypes: Genotypes,
    measured: NDArray[np.float64],
    parts: Mapping[str, float],
) -> LatencyTable:
    """Fit the coefficients by least squares of the relative errors."""
    rows, target = features(space, genotypes, parts), measured
    used = rows.std(axis=0) > 0
    used[0] = True
    found = np.zeros(4)
    solution, *_ = np.linalg.lstsq(
        rows[:, used] / target[:, None], np.ones(len(target)), rcond=None
    )
    found[used] = solution
    fixed, scale, each, identity = (float(value) for value in found)
    return LatencyTable(space.fingerprint, dict(parts), fixed, scale, each, identity)


def trust(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> Trust:
    """Compare predictions with measurements."""
    errors = np.abs(predicted / measured - 1)
    return Trust(
        networks=len(measured),
        median=float(np.median(errors)),
        worst=float(errors.max()),
        correlation=spearman(predicted, measured),
    )
