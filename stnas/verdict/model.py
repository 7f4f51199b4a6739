"""What a few trainings tell of architectures that were not trained: Gaussian process regression.

The prior of what training reaches is a sum of independent effects: one of each choice of each gene,
and one of each number that is known beforehand (shared score, logarithms of costs). So a choice
that many trained networks have in common is known well, whatever the rest of a network is.
Formulas: Rasmussen and Williams (2006), equations 2.25 and 2.26 (prediction), 2.30 (evidence), 5.12
(left-out predictions).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stnas.space import Genotypes

Vector = NDArray[np.float64]
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8)
"""Shares of the variance that genes and numbers are tried with; noise has the rest, above 0."""


@dataclass(frozen=True)
class Prediction:
    """What a model says of architectures.

    mean: of what training would reach ``[n]``. left_out: for every trained one, what the others
    predict ``[m]``. shares: of the variance, by genes and by numbers.
    """

    mean: Vector
    left_out: Vector
    shares: tuple[float, float]


def predicted(
    genotypes: Genotypes, numbers: Vector, trained: NDArray[np.intp], reached: Vector
) -> Prediction:
    """Predict what architectures reach from what some of them reached.

    genotypes: ``[n, genes]``. numbers: known of each beforehand, ``[n, k]``. trained: places of
    those with results, two or more. reached: the results ``[m]``. Of the shares of the variance
    those are taken under which the results are likeliest; with 0 for the genes the model is a ridge
    regression on the numbers alone.
    """
    assert len(trained) == len(reached) > 1
    middle, spread = float(reached.mean()), float(reached.std()) or 1.0
    target = (reached - middle) / spread
    kernels = (_alike(_indicators(genotypes)), _alike(numbers))
    tried = [(a, b) for a in SHARES for b in SHARES if a + b < 1]
    evidence = [_evidence(_covariance(kernels, both, trained), target) for both in tried]
    shares = tried[int(np.argmax(evidence))]
    known = _covariance(kernels, shares, trained)
    inverse = np.linalg.inv(known)
    prior = shares[0] * kernels[0] + shares[1] * kernels[1]
    cross = prior[:, trained]
    mean = cross @ inverse @ target
    left_out = target - inverse @ target / np.diag(inverse)
    return Prediction(
        mean=middle + spread * mean,
        left_out=middle + spread * left_out,
        shares=shares,
    )


def standardised(column: Vector) -> Vector:
    """Return a column with mean 0 and standard deviation 1, or 0 where all are alike."""
    if not len(column) or column.min() == column.max():
        return np.zeros_like(column)
    return np.asarray((column - column.mean()) / column.std())


def _indicators(genotypes: Genotypes) -> Vector:
    """Return a column for each choice of each gene that some have: 1 where it is theirs."""
    columns = [gene[:, None] == np.unique(gene)[None] for gene in genotypes.T]
    return np.concatenate(columns, axis=1).astype(np.float64)


def _alike(columns: Vector) -> Vector:
    """Return ``X X^T`` of centred columns, scaled to a mean of 1 on the diagonal; else 0."""
    centred = columns - columns.mean(axis=0)
    product = centred @ centred.T
    scale = float(np.trace(product)) / len(product)
    return product / scale if scale > 0 else np.zeros_like(product)


def _covariance(
    kernels: tuple[Vector, Vector], shares: tuple[float, float], trained: NDArray[np.intp]
) -> Vector:
    """Return the covariance of the results of the trained ones, with their noise."""
    own = np.ix_(trained, trained)
    signal = shares[0] * kernels[0][own] + shares[1] * kernels[1][own]
    return signal + (1 - sum(shares)) * np.eye(len(trained))


def _evidence(covariance: Vector, target: Vector) -> float:
    """Return the logarithm of the likelihood of the results, but for a constant."""
    factor = np.linalg.cholesky(covariance)
    white = np.linalg.solve(factor, target)
    return float(-0.5 * white @ white - np.log(np.diag(factor)).sum())
