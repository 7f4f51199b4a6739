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

    median, worst: shares of the measured latency. correlation: Spearman's; None where all
    predictions or all measurements are alike.
    """

    networks: int
    median: float
    worst: float
    correlation: float | None

    def __str__(self) -> str:
        """Say it in a line."""
        known = self.correlation is not None
        ranks = f"{self.correlation:.3f}" if known else "unknown, as all are predicted alike"
        return (
            f"{self.networks} other networks: median error {100 * self.median:.1f} %, largest "
            f"{100 * self.worst:.1f} %, rank correlation {ranks}"
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
    """Fit the coefficients by least squares of the relative errors.

    Where networks take the longer the less their parts do, the parts differ by noise alone, and
    their times are left out.
    """
    rows = features(space, genotypes, parts)
    used = rows.std(axis=0) > 0
    used[0] = True
    found = solved(rows, measured, used)
    if found[1] < 0:
        used[1] = False
        found = solved(rows, measured, used)
    fixed, scale, each, identity = (float(value) for value in found)
    return LatencyTable(space.fingerprint, dict(parts), fixed, scale, each, identity)


def solved(
    rows: NDArray[np.float64], measured: NDArray[np.float64], used: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the coefficient of every column, 0 of those that are not used ``[4]``."""
    found = np.zeros(rows.shape[1])
    relative = rows[:, used] / measured[:, None]
    found[used], *_ = np.linalg.lstsq(relative, np.ones(len(measured)), rcond=None)
    return found


def trust(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> Trust:
    """Compare predictions with measurements."""
    errors = np.abs(predicted / measured - 1)
    correlation = spearman(predicted, measured)
    return Trust(
        networks=len(measured),
        median=float(np.median(errors)),
        worst=float(errors.max()),
        correlation=None if np.isnan(correlation) else correlation,
    )
