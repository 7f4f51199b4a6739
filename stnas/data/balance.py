"""Choose rows of a labelled set class by class."""

from collections.abc import Sequence

import numpy as np

from stnas.config.data import DataConfig
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

    Both are ascending int64. Every class has two images or more.
    """
    counts = np.bincount(labels)
    assert counts.min() >= 2, counts
    quota = np.clip(np.floor(share * counts + 0.5).astype(np.int64), 1, counts - 1)
    held = _take(labels, quota, stream=stream, seed=seed)
    kept = np.setdiff1d(np.arange(len(labels), dtype=np.int64), held, assume_unique=True)
    return kept, held


def validation_rows(
    labels: Indices, *, classes: Sequence[str], config: DataConfig, seed: int, origin: object
) -> tuple[Indices, Indices]:
    """Split the training rows into those to train on and those to compare architectures on.

    ValueError: a class has a single image, which cannot be in both.
    """
    if small := fewer(labels, classes, least=2):
        cut = config.train_limit is not None and config.train_limit <= len(labels)
        repair = f"raise data.train_limit, {config.train_limit}, or leave it out, or " * cut
        raise ValueError(
            f"{origin}: every class must have at least 2 training images (one to train on, one to "
            f"hold out), got {small}: {repair}add images or remove the class"
        )
    return held_out(labels, share=config.validation, stream=Stream.VALIDATION, seed=seed)


def fewer(labels: Indices, classes: Sequence[str], *, least: int) -> str:
    """Name the first classes of fewer than ``least`` images with their counts; empty: none is."""
    counts = np.bincount(labels, minlength=len(classes))
    small = [f"{count} in {classes[c]}" for c, count in enumerate(counts) if count < least]
    return ", ".join(small[:8]) + (f" and {len(small) - 8} more classes" if small[8:] else "")


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
