"""Halves of the training images: one moves the weights, the other the architecture."""

from dataclasses import replace

import torch
from torch import Tensor

from stnas.data import FileSplit, Split
from stnas.data.epochs import subset
from stnas.group.streams import derive, torch_generator
from stnas.learn.task import Task


def halved(task: Task, seed: int) -> tuple[Task, Split | FileSplit]:
    """Return the task with a half of each class to train on, and the other half."""
    split = task.dataset.train
    own, other = halves(task, seed)
    dataset = replace(task.dataset, train=subset(split, own))
    return replace(task, dataset=dataset), subset(split, other)


def halves(task: Task, seed: int) -> tuple[Tensor, Tensor]:
    """Return the rows of the training images in either half, rising.

    A function of the seed; an odd class has one image more in the first. ValueError for a class of
    one image.
    """
    labels = task.dataset.train.labels
    first, second = [], []
    generator = torch_generator(derive(seed, "halves"))
    for label, name in enumerate(task.dataset.classes):
        rows = torch.nonzero(labels == label).flatten()
        if len(rows) == 1:
            raise ValueError(
                "data.path must have two training images or more of each class for a search by "
                f"gradients, which halves them, got one of {name}: add images, or lower "
                "data.validation"
            )
        rows = rows[torch.randperm(len(rows), generator=generator)]
        middle = (len(rows) + 1) // 2
        first.append(rows[:middle])
        second.append(rows[middle:])
    return torch.cat(first).sort().values, torch.cat(second).sort().values
