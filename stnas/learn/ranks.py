"""Ranks of numbers, and how well two rankings correlate."""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def signs(values: Vector) -> Vector:
    """Return ``s[i, j] = sign(v[i] - v[j])``."""
    return np.sign(values[:, None] - values[None, :])


def ranks(values: Vector) -> Vector:
    """Return the ranks ``[n]``, 0 for the least; equal values share their mean rank."""
    return (signs(values).sum(axis=1) + len(values) - 1) / 2  # type: ignore[no-any-return]


def spearman(first: Vector, second: Vector) -> float:
    """Return the correlation of the ranks; NaN where a vector is constant."""
    a, b = (ranks(v) - (len(v) - 1) / 2 for v in (first, second))
    with np.errstate(invalid="ignore"):
        return float(np.divide(a @ b, np.sqrt((a @ a) * (b @ b))))
