"""Batches of images for training and for evaluation."""

import torch
from torch import Tensor

from stnas.config import Config
from stnas.data import Dataset, Split, eval_batch, train_batch
from stnas.engine.randomness import torch_generator


def training_batch(
    dataset: Dataset, split: Split, rows: Tensor, *, config: Config, purpose: str, step: int
) -> tuple[Tensor, Tensor]:
    """Make an augmented batch of rows, a function of (seed, purpose, step)."""
    return train_batch(
        split,
        rows,
        mean=dataset.mean,
        std=dataset.std,
        config=config.data,
        generator=torch_generator(config.seed, purpose, step),
    )


def evaluation_batches(dataset: Dataset, split: Split, *, size: int) -> list[tuple[Tensor, Tensor]]:
    """Cut a split into normalised batches, in order and without augmentation."""
    count = len(split)
    return [
        eval_batch(split, start, min(start + size, count), mean=dataset.mean, std=dataset.std)
        for start in range(0, count, size)
    ]


def subset(split: Split, rows: Tensor) -> Split:
    """Take rows of a split."""
    return Split(split.images[rows], split.labels[rows])


def joined(first: Split, second: Split) -> Split:
    """Put two splits together."""
    return Split(torch.cat((first.images, second.images)), torch.cat((first.labels, second.labels)))
