"""Measure how fast the hyper-network of a configuration trains here, on images made up."""

import time

import torch

from stnas.config import Config
from stnas.data import Dataset, Split
from stnas.data.order import Indices
from stnas.learn.single_path import Schedule, SinglePath
from stnas.learn.supernet_epoch import epoch_steps_
from stnas.learn.task import build_supernet, task_of

BATCHES = 8
"""Batches of images that are trained on again and again."""
WARM = 4
"""Steps before the clock starts."""


def images_per_second(
    config: Config, *, size: int, channels: int, classes: int, seconds: float
) -> float:
    """Train for some seconds on random images in memory; return the images a second.

    What reading and decoding files takes while a run works is not in it.
    """
    dataset = made_up(BATCHES * config.train.batch_size, size, channels, classes)
    task = task_of(config, dataset)
    supernet = build_supernet(config, task.space)
    schedule = Schedule(lambda step: 0.01, {"weight_decay": 0.0, "mode": "none"})
    strategy = SinglePath(supernet, task, config=config, schedule=schedule)
    done, begin, epoch = 0, 0.0, 0
    while done <= WARM or time.perf_counter() - begin < seconds:
        for _ in epoch_steps_(strategy, task, config=config, epoch=epoch):
            done += 1
            if done == WARM:
                begin = time.perf_counter()
            if done > WARM and time.perf_counter() - begin >= seconds:
                break
        epoch += 1
    return (done - WARM) * config.train.batch_size / (time.perf_counter() - begin)


def made_up(count: int, size: int, channels: int, classes: int) -> Dataset:
    """Make a data set of noise."""
    generator = torch.Generator().manual_seed(0)
    shape = (count, channels, size, size)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    split = Split(images, torch.arange(count) % classes)
    return Dataset(
        train=split,
        validation=split,
        test=split,
        name="noise",
        classes=tuple(str(c) for c in range(classes)),
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
        fingerprint="",
    )


def parts(counts: Indices, share: float) -> tuple[int, int]:
    """Return how many images are trained on and how many are held out of them."""
    held = int(sum(max(1, round(share * count)) for count in counts.tolist()))
    return max(1, int(counts.sum()) - held), held
