"""Batches of images for training and for evaluation, from memory or streamed from files."""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from stnas.config import Config
from stnas.config.retrain import Augment
from stnas.data import (
    Dataset,
    FileSplit,
    Split,
    batches,
    epoch_rows,
    eval_batch,
    evaluation_requests,
    part,
    train_batch,
    training_requests,
)
from stnas.data.trivial import trivially_changed
from stnas.group.streams import derive, torch_generator
from stnas.ops.sending import sent_ahead

Batch = tuple[Tensor, Tensor]
Item = TypeVar("Item", covariant=True)


class Batches(Protocol[Item]):
    """What can be gone through again and again: a list, or a pass over files."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Item]: ...


class Passes(Batches[Item]):
    """Go through ``count`` items that are made anew each time."""

    def __init__(self, count: int, begin: Callable[[], Iterator[Item]]) -> None:
        self.count, self.begin = count, begin

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Item]:
        return self.begin()


def training_batch(
    dataset: Dataset,
    split: Split,
    rows: Tensor,
    *,
    config: Config,
    purpose: str,
    step: int,
    augment: Augment = "none",
) -> Batch:
    """Make an augmented batch of rows in memory, a function of (seed, purpose, step)."""
    if augment == "trivial":
        seed = derive(config.seed, purpose, step, "trivial")
        changed = trivially_changed(split.images[rows.to(split.images.device)], seed=seed)
        split, rows = Split(changed, split.labels[rows]), torch.arange(len(rows))
    return train_batch(
        split,
        rows,
        mean=dataset.mean,
        std=dataset.std,
        config=config.data,
        generator=torch_generator(config.seed, purpose, step),
    )


def training_batches(
    dataset: Dataset,
    split: Split | FileSplit,
    *,
    config: Config,
    purpose: str,
    seed: int,
    epoch: int,
    size: int,
    start: int = 0,
    rank: int = 0,
    world: int = 1,
    augment: Augment = "none",
) -> Iterator[Batch]:
    """Yield the whole batches ``start``, ``start + 1``, ... of an epoch, augmented.

    seed: of the order of the images. size: images of a batch over all ranks; a rank gets its
    contiguous part, and the parts of all ranks are the batch of one process. A batch is a function
    of (seed, config.seed, purpose, epoch, its number): an epoch can be entered at any batch.
    augment: as ``retrain.augment``, for images in memory.
    """
    steps = len(split) // size
    if isinstance(split, FileSplit):
        seeds = {"order_seed": seed, "augment_seed": derive(config.seed, purpose), "epoch": epoch}
        requests = training_requests(
            split, **seeds, size=size, start=start, stop=steps, rank=rank, world=world
        )
        read = batches(split, requests, mean=dataset.mean, std=dataset.std)
        yield from sent_ahead(read, dataset.device)
        return
    order = epoch_rows(split.labels, config=config.data, seed=seed, epoch=epoch)
    own = part(size, rank=rank, world=world)
    for i in range(start, steps):
        rows, step = order[i * size : (i + 1) * size], epoch * steps + i
        images, labels = training_batch(
            dataset, split, rows, config=config, purpose=purpose, step=step, augment=augment
        )
        yield images[own], labels[own]


def batch_text(
    split: Split | FileSplit, *, config: Config, seed: int, epoch: int, batch: int, size: int
) -> str:
    """Say which images a training batch is made of, for messages: the first of them."""
    order = epoch_rows(split.labels, config=config.data, seed=seed, epoch=epoch)
    rows = order[batch * size : (batch + 1) * size]
    files = split.files if isinstance(split, FileSplit) else None
    shown = [str(row if files is None else files[row]) for row in rows[:8].tolist()]
    kind = "rows" if files is None else "files"
    return (
        f"batch {batch} of epoch {epoch} has {len(rows)} images, {kind} {', '.join(shown)}"
        f"{', ...' if len(rows) > len(shown) else ''}"
    )


def evaluation_batches(
    dataset: Dataset, split: Split | FileSplit, *, size: int, rank: int = 0, world: int = 1
) -> Batches[Batch]:
    """Cut a split into normalised batches, in order, without augmentation, every image once.

    A rank of ``world`` gets the batches ``rank``, ``rank + world``, ... of the same division.
    """
    starts = range(rank * size, len(split), world * size)
    if isinstance(split, FileSplit):

        def begin() -> Iterator[Batch]:
            requests = evaluation_requests(split, size=size, rank=rank, world=world)
            read = batches(split, requests, mean=dataset.mean, std=dataset.std)
            return sent_ahead(read, dataset.device)

        return Passes(len(starts), begin)
    count = len(split)
    return [
        eval_batch(split, start, min(start + size, count), mean=dataset.mean, std=dataset.std)
        for start in starts
    ]


def without_labels(data: Batches[Batch]) -> Batches[Tensor]:
    """Return the images of batches alone, in memory if they are there."""
    if isinstance(data, list):
        return [images for images, _ in data]
    return Passes(len(data), lambda: (images for images, _ in data))


def subset(split: Split | FileSplit, rows: Tensor) -> Split | FileSplit:
    """Take rows of a split."""
    return split.take(rows)


def union(first: Split | FileSplit, second: Split | FileSplit) -> Split | FileSplit:
    """Put two splits of one data set together."""
    if isinstance(first, FileSplit):
        assert isinstance(second, FileSplit)
        return first.joined(second)
    assert isinstance(second, Split)
    return first.joined(second)
