"""Architecture samplers: pure functions of (seed, step)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stnas.space.cost import check_p_drop
from stnas.space.graph import Edge


def generator(seed: int, *words: int) -> np.random.Generator:
    """Return the counter-based generator (Philox) of a seed and up to three counter words."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"seed must be an integer, got {seed!r}: give one in [0, 2**64)")
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must lie in [0, 2**64), got {seed}: choose one inside")
    counter = np.array([0, *words, *[0] * (3 - len(words))], np.uint64)
    key = np.array([seed, 0], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def sample(edges: Sequence[Edge], n: int, *, p_drop: float, seed: int) -> NDArray[np.int8]:
    """Draw ``n`` genotypes ``[n, genes]``: stem uniform, branch none with ``p_drop``."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer):
        raise TypeError(f"n must be an integer, got {n!r}: give the number of genotypes")
    if n < 0:
        raise ValueError(f"n must be at least 0, got {n}: give the number of genotypes")
    uniform = generator(seed).random((n, len(edges)))
    return choose(edges, uniform, check_p_drop(p_drop))


def choose(edges: Sequence[Edge], uniform: NDArray[np.float64], p_drop: float) -> NDArray[np.int8]:
    """Turn uniform numbers in [0, 1) into genotypes, both ``[n, genes]``, by inversion."""
    drop = np.array([p_drop if edge.kind == "branch" else 0.0 for edge in edges])
    first = np.array([edge.kind == "branch" for edge in edges])
    counts = np.array([len(edge.operations) for edge in edges])
    kept = np.where(drop < 1, 1 - drop, 1.0)
    index = np.minimum(((uniform - drop) / kept * counts).astype(np.int64), counts - 1)
    return np.where(uniform < drop, 0, index + first).astype(np.int8)
