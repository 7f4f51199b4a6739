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
    AUGMENT = 5
    RESAMPLE = 6


def permutation(n: int, *, stream: Stream, seed: int = 0, index: int = 0) -> Indices:
    """Return the order that sorts ``n`` words of Philox with the key (seed, index), int64 ``[n]``.

    The words come straight from the bit generator, whose values NumPy keeps from release to
    release. ValueError: ``n`` is negative, or ``seed`` or ``index`` lies outside [0, 2**64).
    Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC 2011).
    """
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}: give the number of items")
    bits = _philox(stream, seed=seed, index=index, block=0)
    return np.argsort(np.asarray(bits.random_raw(n)), kind="stable").astype(np.int64)


def resampled(labels: Indices, *, seed: int = 0, index: int = 0) -> Indices:
    """Return rows of an epoch with equally many of each class, as many as there are, int64 ``[n]``.

    Of n images and K classes each class has ``n // K`` places and some one more. It fills them with
    its rows in a random order, then in another one, until they are full: its rows differ by at
    most one in how often they come. The order of all places is that of ``permutation`` in the
    stream of epochs; the result is a function of (labels, seed, index). ValueError as there.
    """
    counts = np.bincount(labels)
    classes = np.flatnonzero(counts)
    bits = _philox(Stream.RESAMPLE, seed=seed, index=index, block=0)
    more = np.argsort(np.asarray(bits.random_raw(len(classes))), kind="stable")
    quota = np.full(len(classes), len(labels) // max(1, len(classes)))
    quota[more[: len(labels) - int(quota.sum())]] += 1
    rows = []
    for own, places in zip(classes, quota, strict=True):
        members = np.flatnonzero(labels == own)
        times = -(-int(places) // len(members))
        words = np.asarray(bits.random_raw(times * len(members))).reshape(times, len(members))
        rows.append(members[np.argsort(words, axis=1, kind="stable")].reshape(-1)[:places])
    order = permutation(len(labels), stream=Stream.EPOCH, seed=seed, index=index)
    return np.concatenate([np.empty(0, np.int64), *rows])[order]


def uniforms(
    start: int, count: int, *, width: int, stream: Stream, seed: int, index: int
) -> NDArray[np.float64]:
    """Return ``width`` numbers in [0, 1) for each of the items ``start`` to ``start + count - 1``.

    The numbers ``[count, width]`` of an item do not depend on which others are asked for. They are
    the upper 53 bits of Philox's words; ``width`` is a multiple of 4, a block of the generator.
    """
    assert width % 4 == 0, width
    bits = _philox(stream, seed=seed, index=index, block=start * (width // 4))
    words = np.asarray(bits.random_raw(count * width), dtype=np.uint64)
    return (words >> np.uint64(11)).astype(np.float64).reshape(count, width) * 2.0**-53


def _philox(stream: Stream, *, seed: int, index: int, block: int) -> np.random.Philox:
    """Make the generator with the key (seed, index) that begins at a block of 4 words."""
    for name, value in (("seed", seed), ("index", index)):
        if not 0 <= value < _WORD:
            raise ValueError(f"{name} must lie in [0, 2**64), got {value}: give a seed like 0")
    return np.random.Philox(
        key=np.array([seed, index], dtype=np.uint64),
        counter=np.array([block, 0, 0, int(stream)], dtype=np.uint64),
    )
