"""Halves of the training images: one moves the weights, the other the architecture."""

from dataclasses import replace

import torch

from stnas.data import FileSplit, Split
from stnas.data.epochs import subset
from stnas.group.streams import derive, torch_generator
from stnas.learn.task import Task


def halved(task: Task, seed: int) -> tuple[Task, Split | FileSplit]:
    """Return the task with a half of each class to train on, and the other half.

    A function of the seed; an odd class has one image more in the first. ValueError for a class of
    one image.
    """
    split = task.dataset.train
    first, second = [], []
    generator = torch_generator(derive(seed, "halves"))
    for label, name in enumerate(task.dataset.classes):
        rows = torch.nonzero(split.labels == label).flatten()
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
    own, other = (torch.cat(parts).sort().values for parts in (first, second))
    dataset = replace(task.dataset, train=subset(split, own))
    return replace(task, dataset=dataset), subset(split, other)
