"""A chain of samples of the shared weights, one an epoch, and their mean (paper, Algorithm 2)."""

from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from stnas.config import Config
from stnas.group.processes import current, led
from stnas.learn.single_path import Schedule, SinglePath
from stnas.learn.supernet_epoch import load_together_, steps_per_epoch, train_epoch_
from stnas.learn.task import Task
from stnas.store.checkpoint import Saver, Standing
from stnas.store.checksum import DamagedError
from stnas.store.files import check_identity, check_origin
from stnas.store.journal import Log
from stnas.store.tensors import read_tensors, write_tensors
from stnas.supernet import SuperNet


def draw_(
    supernet: SuperNet,
    task: Task,
    files: list[Path],
    *,
    config: Config,
    journal: Log,
    saver: Saver,
) -> None:
    """Draw the samples that are missing, each from the one before it or from the last state."""
    images = len(task.dataset.train)
    steps = steps_per_epoch(images, config.train.batch_size)
    schedule = constant_schedule(config, images)
    strategy = SinglePath(supernet, task, config=config, schedule=schedule)
    state = last_state(saver, journal)
    for k in range(1, len(files)):
        known = partial(is_drawn, files[k], k, origin=saver.origin, journal=journal)
        if current().first(known):
            continue
        epoch = config.train.epochs + k - 1
        if state is not None and epoch * steps < saver.standing.steps < (epoch + 1) * steps:
            strategy.load_(state, saver.path)
        else:
            load_together_(supernet, files[k - 1], origin=saver.origin)
            saver.standing = Standing(steps=epoch * steps)
        train_epoch_(
            strategy, task, config=config, epoch=epoch, journal=journal, shown=k - 1, saver=saver
        )
        led(write_tensors)(files[k], supernet.state_dict(), sample=k, origin=saver.origin)
        saver.drop()
        saver.leave()


def last_state(saver: Saver, journal: Log) -> dict[str, Tensor] | None:
    """Return the last state inside an epoch; where it is damaged, the last sample does for it."""
    try:
        return saver.resume(journal.say)
    except DamagedError as error:
        journal.say(f"{str(error).partition(': ')[0]}: going on from the last sample")
        return None


def is_drawn(file: Path, number: int, *, origin: str, journal: Log) -> bool:
    """Tell whether a sample is there and whole; say so if it is there and is not."""
    if not file.exists():
        return False
    try:
        _, metadata = read_tensors(file)
        check_origin(metadata, origin, file)
        check_identity(metadata, file, sample=number)
    except DamagedError as error:
        journal.say(f"{str(error).partition(': ')[0]}: it is drawn again")
        return False
    return True


def constant_schedule(config: Config, images: int) -> Schedule:
    """Make the step of eq. 9: constant learning rate, noise of the configured mode."""
    sgld = config.sgld
    options: dict[str, Any] = {
        "weight_decay": sgld.weight_decay,
        "mode": sgld.mode,
        "temperature": sgld.temperature,
        "num_data": images,
        "rho": sgld.rho,
        "steps_per_epoch": steps_per_epoch(images, config.train.batch_size),
    }
    return Schedule(lambda _: sgld.learning_rate, options)


def mean(files: list[Path]) -> dict[str, Tensor]:
    """Return the float32 running mean of the samples: ``m_k = m_(k-1) + (w_k - m_(k-1)) / k``."""
    total, _ = read_tensors(files[0])
    for k, file in enumerate(files[1:], start=2):
        sample, _ = read_tensors(file)
        for name, value in total.items():
            value.add_((sample[name] - value) / k)
    return total
