"""Draw permutations that are pure functions of a few integers."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
_WORD = 2**64


class Stream(IntEnum):
    """Tell apart the permutations that share a seed."""

    LIMIT = 1
    TEST = 2
    VALIDATION = 3
    EPOCH = 4


def permutation(n: int, *, stream: Stream, seed: int = 0, index: int = 0) -> Indices:
    """Return the order that sorts ``n`` words of Philox with the key (seed, index), int64 ``[n]``.

    The words come straight from the bit generator, whose values NumPy keeps from release to
    release. ValueError: ``n`` is negative, or ``seed`` or ``index`` lies outside [0, 2**64).
    Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC 2011).
    """
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}: give the number of items")
    for name, value in (("seed", seed), ("index", index)):
        if not 0 <= value < _WORD:
            raise ValueError(f"{name} must lie in [0, 2**64), got {value}: give a seed like 0")
    bits = np.random.Philox(
        key=np.array([seed, index], dtype=np.uint64),
        counter=np.array([0, 0, 0, int(stream)], dtype=np.uint64),
    )
    return np.argsort(np.asarray(bits.random_raw(n)), kind="stable").astype(np.int64)
