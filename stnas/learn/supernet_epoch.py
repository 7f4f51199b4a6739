"""The loop that training and SGLD share: one architecture a step, its tensors alone move."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from stnas.config import Config
from stnas.config.train import Precision
from stnas.data import class_weights
from stnas.data.epochs import batch_text, training_batches
from stnas.group.processes import current
from stnas.group.streams import derive, global_stream
from stnas.learn.gradients import Parts, check_alike, mean_gradients_, own_parts, total
from stnas.learn.moving_average import MovingAverage
from stnas.learn.task import Task
from stnas.ops.sgld import sgld_step_
from stnas.store.checkpoint import Saver
from stnas.store.files import load_weights_
from stnas.store.journal import Log
from stnas.supernet import SuperNet, synchronise_


@dataclass(frozen=True)
class Schedule:
    """Options of ``sgld_step_`` that do not change during a stage, and the learning rate.

    learning_rate: a function of the step, counted from the start of training.
    """

    learning_rate: Callable[[int], float]
    options: dict[str, Any]


def cosine(step: int, *, steps: int, start: float, end: float) -> float:
    """Return ``end + (start - end) (1 + cos(pi step / steps)) / 2``, held at end afterwards."""
    done = min(step / steps, 1.0)
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Return the number of whole batches in an epoch; the rest of its images are left out."""
    if images < batch_size:
        raise ValueError(
            f"batch_size must be at most the number of training images = {images}, "
            f"got {batch_size}: set train.batch_size or retrain.batch_size lower"
        )
    return images // batch_size


def train_step_(
    supernet: SuperNet,
    genotype: NDArray[np.int8],
    images: Tensor,
    labels: Tensor,
    *,
    lr: float,
    seed: int,
    step: int,
    parameters: Sequence[nn.Parameter] | None = None,
    parts: Parts = Parts(),  # noqa: B008 it is frozen
    precision: Precision = "float32",
    averages: Sequence[MovingAverage] = (),
    weights: Tensor | None = None,
    **options: Any,
) -> tuple[float, float]:
    """Move the activated tensors by one step and return (loss, accuracy) of the batch.

    parameters: those of the hyper-network, in its order, for callers of many steps: to list them
    takes as long as to train a small path. parts: which parts of the batch the images are; those
    of the other processes count as much. precision: as ``mean_gradients_`` takes it. averages: of
    the parameters, kept up with the steps. weights: of the classes, as there. options: those of
    ``sgld_step_``.
    Raises FloatingPointError that names genotype and step, before anything moves, where the
    loss is not finite.
    """

    def forward(part: int, own: Tensor) -> Tensor:
        with global_stream(seed, "dropout", step, *parts.words(part)):
            return supernet(own, genotype)  # type: ignore[no-any-return]

    listed = list(supernet.parameters()) if parameters is None else parameters
    used = supernet.active_parameters(genotype)
    outcome = mean_gradients_(
        [listed[i] for i in used],
        forward,
        images,
        labels,
        parts=parts,
        precision=precision,
        weights=weights,
    )
    if not math.isfinite(outcome.loss):
        supernet.zero_grad()
        raise FloatingPointError(
            f"the loss is {outcome.loss} at step {step} with the architecture "
            f"{supernet.space.format(genotype)}: lower train.learning_rate"
        )
    active = [(i, listed[i]) for i in used if listed[i].grad is not None]
    for average in averages:
        average.include_(step, [identity for identity, _ in active])
    sgld_step_(
        [parameter for _, parameter in active],
        [parameter.grad for _, parameter in active if parameter.grad is not None],
        ids=[identity for identity, _ in active],
        lr=lr,
        seed=derive(seed, "noise"),
        step=step,
        **options,
    )
    for _, parameter in active:
        parameter.grad = None
    return outcome.loss, outcome.accuracy


def epoch_steps_(
    supernet: SuperNet,
    task: Task,
    *,
    config: Config,
    epoch: int,
    schedule: Schedule,
    first: int = 0,
    averages: Sequence[MovingAverage] = (),
) -> Iterator[tuple[float, float]]:
    """Train the hyper-network for one epoch and yield (loss, accuracy) of each batch.

    first: the batch to begin with. Everything random is a function of the seed and of the step,
    counted from the start of training, so that an interrupted run goes on as if it had not stopped.
    """
    dataset, size = task.dataset, config.train.batch_size
    parts, group = own_parts("train", config.train), current()
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
    if config.train.sync_batch_norm and group.size > 1:
        synchronise_(supernet, total)
    parameters = list(supernet.parameters())
    weights = class_weights(dataset.train.labels, dataset.num_classes, config=config.data)
    supernet.train()
    for i, (images, labels) in enumerate(data, start=first):
        number = epoch * steps_per_epoch(len(dataset.train), size) + i
        try:
            result = train_step_(
                supernet,
                task.sampler.genotype(number),
                images,
                labels,
                lr=schedule.learning_rate(number),
                seed=config.seed,
                step=number,
                parameters=parameters,
                parts=parts,
                precision=config.train.precision,
                averages=averages,
                weights=weights,
                **schedule.options,
            )
        except FloatingPointError as error:
            about = batch_text(
                dataset.train, config=config, seed=seed, epoch=epoch, batch=i, size=size
            )
            raise FloatingPointError(f"{error}; {about}") from error
        yield result


def load_together_(supernet: SuperNet, file: Path, *, origin: str) -> None:
    """Load the leader's file into the hyper-network of every process."""
    current().first(partial(load_weights_, supernet, file, origin=origin))
    current().spread_(supernet.state_dict().values())


def train_epoch_(
    supernet: SuperNet,
    task: Task,
    *,
    config: Config,
    epoch: int,
    schedule: Schedule,
    journal: Log,
    shown: int,
    saver: Saver,
    averages: Sequence[MovingAverage] = (),
) -> None:
    """Train the hyper-network for the rest of an epoch; record it as unit ``shown`` of the journal.

    saver: where the stage stands, counted from the start of training; saved inside the epoch when
    it is due. averages: of the weights, kept up with the steps.
    """
    steps = steps_per_epoch(len(task.dataset.train), config.train.batch_size)
    begin, now = time.perf_counter(), saver.standing
    first, speed = now.steps - epoch * steps, 0.0
    for result in epoch_steps_(
        supernet,
        task,
        config=config,
        epoch=epoch,
        schedule=schedule,
        first=first,
        averages=averages,
    ):
        now.add_(*result)
        done = now.steps - epoch * steps
        speed = (done - first) * config.train.batch_size / (time.perf_counter() - begin)
        journal.progress(shown + done / steps, loss=result[0], images_per_second=speed)
        if done < steps:
            saver.step()
    check_alike(supernet)
    journal.record(
        shown,
        step=now.steps,
        loss=now.loss / steps,
        accuracy=now.accuracy / steps,
        learning_rate=schedule.learning_rate(now.steps - 1),
        images_per_second=speed,
    )
    now.end_epoch_()
