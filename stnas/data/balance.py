"""Choose rows of a labelled set class by class."""

import numpy as np

from stnas.data.order import Indices, Stream, permutation


def limited(labels: Indices, *, limit: int | None, name: str) -> Indices:
    """Return the rows of a class-balanced subset of ``limit`` images, ascending int64.

    Every class gives the same number; what a small class cannot give, the others do. The choice
    does not depend on a run's seed, so that every seed sees the same images. ValueError: ``limit``
    is smaller than the number of classes.
    """
    if limit is None or limit >= len(labels):
        return np.arange(len(labels), dtype=np.int64)
    counts = np.bincount(labels)
    if limit < len(counts):
        raise ValueError(
            f"{name} must be at least the number of classes, {len(counts)}, got {limit}: raise it"
        )
    return _take(labels, _level(counts, limit), stream=Stream.LIMIT, seed=0)


def held_out(
    labels: Indices, *, share: float, stream: Stream, seed: int
) -> tuple[Indices, Indices]:
    """Split the rows into (kept, held): of each class ``round(share * count)``, at least one, held.

    Both are ascending int64. ValueError: a class has a single image, which cannot be in both.
    """
    counts = np.bincount(labels)
    if counts.min() < 2:
        raise ValueError(
            f"every class must have at least 2 images to hold some out, got {counts.min()} of "
            f"class {int(counts.argmin())}: add images, remove the class, or raise data.train_limit"
        )
    quota = np.clip(np.floor(share * counts + 0.5).astype(np.int64), 1, counts - 1)
    held = _take(labels, quota, stream=stream, seed=seed)
    kept = np.setdiff1d(np.arange(len(labels), dtype=np.int64), held, assume_unique=True)
    return kept, held


def _level(counts: Indices, limit: int) -> Indices:
    """Return quotas <= counts that sum to ``limit`` and differ only where a class is exhausted."""
    quota = np.zeros_like(counts)
    while (left := limit - int(quota.sum())) > 0:
        open_classes = np.flatnonzero(quota < counts)
        share, rest = divmod(left, len(open_classes))
        if share == 0:
            quota[open_classes[:rest]] += 1
        else:
            quota[open_classes] = np.minimum(quota[open_classes] + share, counts[open_classes])
    return quota


def _take(labels: Indices, quota: Indices, *, stream: Stream, seed: int) -> Indices:
    """Return ``quota[c]`` random rows of every class c, ascending."""
    rows = [
        np.flatnonzero(labels == c)[
            permutation(int((labels == c).sum()), stream=stream, seed=seed, index=c)[: quota[c]]
        ]
        for c in range(len(quota))
    ]
    return np.sort(np.concatenate(rows)).astype(np.int64)
