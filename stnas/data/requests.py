"""Say what each batch of streamed images is made of, before any file is read."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stnas.data.batches import epoch_rows
from stnas.data.dataset import FileSplit
from stnas.data.order import Indices, Stream, uniforms
from stnas.data.windows import NUMBERS, Windows, centre_windows, random_windows

_WIDTH = 4 * ((NUMBERS + 4 + 3) // 4)  # window, mirror, three factors; in blocks of four

AHEAD = 2
"""Batches that are read before they are asked for."""


@dataclass(frozen=True, eq=False)
class Request:
    """Name the files of a batch and what is done with each."""

    files: tuple[Path, ...]
    sizes: Indices
    """Height and width that the windows were chosen for ``[n, 2]``."""
    stamps: Indices
    """Bytes and time of the last change in nanoseconds, by which a changed file is known."""
    special: NDArray[np.bool_]
    """Whether Pillow makes plain pixels of the file, whatever the backend is ``[n]``."""
    labels: Tensor
    windows: Windows
    """(top, left, bottom, right) of what is scaled to the image size ``[n, 4]``."""
    mirror: NDArray[np.int32]
    """1 where the image is mirrored left to right ``[n]``."""
    factors: NDArray[np.float32] | None
    """Factors of brightness, contrast and saturation ``[3, n]``; None: no jitter."""

    @classmethod
    def of(cls, split: FileSplit, rows: Indices, windows: Windows) -> Self:
        """Ask for windows of some rows as they are, neither mirrored nor jittered."""
        files = tuple(split.files[row] for row in rows)
        labels = split.labels[torch.from_numpy(rows)]
        still = np.zeros(len(rows), dtype=np.int32)
        marks = split.sizes[rows], split.stamps[rows], split.special[rows]
        return cls(files, *marks, labels, windows, still, None)


def part(count: int, *, rank: int, world: int) -> slice:
    """Return the contiguous share of ``count`` items that belongs to one rank of ``world``.

    The shares of all ranks, in order, are all items, each once; they differ by at most one item.
    """
    if not 0 <= rank < world:
        raise ValueError(f"rank must lie in [0, {world}), got {rank}: number the ranks from 0")
    return slice(count * rank // world, count * (rank + 1) // world)


def training_requests(
    split: FileSplit,
    *,
    order_seed: int,
    augment_seed: int,
    epoch: int,
    size: int,
    start: int = 0,
    stop: int | None = None,
    rank: int = 0,
    world: int = 1,
) -> Iterator[Request]:
    """Ask for the batches ``start`` to ``stop - 1`` of an epoch, of which a rank gets its part.

    stop: None for all: every image is in one batch of the epoch, and the last batch may be smaller.
    What is done with an image is a function of the seeds, the epoch and its place in the epoch's
    order, whatever the batch size, the rank and the first batch. A rank whose part of the last
    batch is empty is not asked for it.
    """
    order: Indices = epoch_rows(
        split.labels, config=split.config, seed=order_seed, epoch=epoch
    ).numpy()
    end = len(order) if stop is None else min(stop * size, len(order))
    for first in range(start * size, end, size):
        own = part(min(size, len(order) - first), rank=rank, world=world)
        rows = order[first + own.start : first + own.stop]
        numbers = uniforms(
            first + own.start,
            len(rows),
            width=_WIDTH,
            stream=Stream.AUGMENT,
            seed=augment_seed,
            index=epoch,
        )
        if len(rows) > 0:
            yield _augmented(split, rows, numbers)


def _augmented(split: FileSplit, rows: Indices, numbers: NDArray[np.float64]) -> Request:
    """Ask for random windows, mirrorings and factors of some rows."""
    config = split.config
    scale = config.window_scale(split.image_size)
    windows = random_windows(split.sizes[rows], numbers[:, :NUMBERS], scale=scale)
    plain = Request.of(split, rows, windows)
    mirror = (numbers[:, NUMBERS] < 0.5) & config.flip
    factors = None
    if config.jitter > 0.0:
        spread = 2 * config.jitter * numbers[:, NUMBERS + 1 : NUMBERS + 4].T
        factors = np.ascontiguousarray(1 - config.jitter + spread, dtype=np.float32)
    return replace(plain, mirror=mirror.astype(np.int32), factors=factors)


def evaluation_requests(
    split: FileSplit, *, size: int, rank: int = 0, world: int = 1
) -> Iterator[Request]:
    """Ask for the batches ``rank``, ``rank + world``, ... in the split's order, as images are."""
    config = split.config
    resize = config.shorter_side(split.image_size)
    for first in range(rank * size, len(split), world * size):
        rows = np.arange(first, min(first + size, len(split)), dtype=np.int64)
        windows = centre_windows(split.sizes[rows], resize=resize, image_size=split.image_size)
        yield Request.of(split, rows, windows)
