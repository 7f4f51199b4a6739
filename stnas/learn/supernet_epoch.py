"""The loop that training and SGLD share: the batches of an epoch, whatever the strategy."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from stnas.config import Config
from stnas.data.epochs import batch_text, training_batches
from stnas.group.processes import current
from stnas.group.streams import derive
from stnas.learn.gradients import check_alike
from stnas.learn.memory import less_of_training, repaired_by
from stnas.learn.readings import Number, Readings
from stnas.learn.strategy import Strategy
from stnas.learn.task import Task
from stnas.store.checkpoint import Saver
from stnas.store.journal import Log
from stnas.store.tensors import load_weights_
from stnas.supernet import SuperNet


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Return the number of whole batches in an epoch; the rest of its images are left out."""
    if images < batch_size:
        raise ValueError(
            f"batch_size must be at most the number of training images = {images}, "
            f"got {batch_size}: set train.batch_size or retrain.batch_size lower"
        )
    return images // batch_size


def epoch_steps_(
    strategy: Strategy, task: Task, *, config: Config, epoch: int, first: int = 0
) -> Iterator[tuple[Number, Number]]:
    """Train the hyper-network for one epoch and yield (loss, accuracy) of each batch.

    first: the batch to begin with. Everything random is a function of the seed and of the step,
    counted from the start of training, so that an interrupted run goes on as if it had not stopped.
    """
    dataset, size, group = task.dataset, config.train.batch_size, current()
    seed = derive(config.seed, "order")
    data = training_batches(
        dataset,
        dataset.train,
        config=config,
        purpose="augment",
        seed=seed,
        epoch=epoch,
        size=size,
        start=first,
        rank=group.rank,
        world=group.size,
    )
    strategy.supernet.train()
    for i, (images, labels) in enumerate(data, start=first):
        try:
            result = strategy.update_(
                images, labels, epoch * steps_per_epoch(len(dataset.train), size) + i
            )
        except FloatingPointError as error:
            about = batch_text(
                dataset.train, config=config, seed=seed, epoch=epoch, batch=i, size=size
            )
            raise FloatingPointError(f"{error}; {about}") from error
        yield result


def diverged(task: Task, config: Config, step: int, loss: float) -> FloatingPointError:
    """Make the error for a loss that turned out later not to be finite."""
    size = config.train.batch_size
    epoch, batch = divmod(step, steps_per_epoch(len(task.dataset.train), size))
    seed = derive(config.seed, "order")
    about = batch_text(
        task.dataset.train, config=config, seed=seed, epoch=epoch, batch=batch, size=size
    )
    what = f" with the architecture {task.space.format(task.sampler.genotype(step))}"
    if config.train.mixes:
        what = ", or the architecture parameters were not finite before it"
    return FloatingPointError(
        f"the loss is {loss} at step {step}{what}: lower train.learning_rate; {about}"
    )


def load_together_(supernet: SuperNet, file: Path, *, origin: str) -> None:
    """Load the leader's file into the hyper-network of every process."""
    current().first(partial(load_weights_, supernet, file, origin=origin))
    current().spread_(supernet.state_dict().values())


def train_epoch_(
    strategy: Strategy,
    task: Task,
    *,
    config: Config,
    epoch: int,
    journal: Log,
    shown: int,
    saver: Saver,
) -> None:
    """Train the hyper-network for the rest of an epoch; record it as unit ``shown`` of the journal.

    saver: where the stage stands, counted from the start of training; saved inside the epoch when
    it is due.
    """
    steps = steps_per_epoch(len(task.dataset.train), config.train.batch_size)
    begin, now = time.perf_counter(), saver.standing
    first, speed = now.steps - epoch * steps, 0.0
    readings = Readings(now.add_, partial(diverged, task, config))
    saver.settle = readings.read_
    data = epoch_steps_(strategy, task, config=config, epoch=epoch, first=first)
    with repaired_by(less_of_training(config, saver.last())):
        for done, result in enumerate(data, start=first + 1):
            readings.add_(epoch * steps + done - 1, *result)
            speed = (done - first) * config.train.batch_size / (time.perf_counter() - begin)
            journal.progress(shown + done / steps, loss=readings.loss, images_per_second=speed)
            if done < steps:
                saver.step()
        readings.read_()
    check_alike(strategy.supernet)
    numbers = {
        "step": now.steps,
        "loss": now.loss / steps,
        "accuracy": now.accuracy / steps,
        "learning_rate": strategy.rate(now.steps - 1),
        "images_per_second": speed,
        **strategy.numbers(),
    }
    journal.record(shown, **numbers)  # type: ignore[arg-type]
    now.end_epoch_()
