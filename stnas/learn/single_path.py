"""Single path training: one architecture a step, whose tensors alone move (Algorithm 1)."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from stnas.config import Config
from stnas.config.train import Precision, TrainConfig
from stnas.data import class_weights
from stnas.group.processes import current
from stnas.group.streams import derive, global_stream
from stnas.learn.gradients import Parts, mean_gradients_, own_parts, total
from stnas.learn.momentum import Momentum
from stnas.learn.moving_average import MovingAverage
from stnas.learn.readings import Number
from stnas.learn.task import Task, has_bits
from stnas.ops.sgld import sgld_step_slices_
from stnas.ops.slices import cut
from stnas.space import Genotype
from stnas.store.tensors import load_tensors_
from stnas.supernet import SuperNet, synchronise_
from stnas.supernet.blocks.quant import FLOAT


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


def linear(step: int, *, steps: int, start: float, end: float) -> float:
    """Return ``start + (end - start) step / steps``, held at end afterwards."""
    return start + (end - start) * min(step / steps, 1.0)


FALLS = {"cosine": cosine, "linear": linear}
"""How a learning rate falls, by the words of the configuration."""


def falling_rate(train: TrainConfig, steps_of_epoch: int) -> Callable[[int], float]:
    """Return the learning rate of training as a function of the step."""
    return partial(
        FALLS[train.schedule],
        steps=train.epochs * steps_of_epoch,
        start=train.learning_rate,
        end=train.final_learning_rate,
    )


def train_step_(
    supernet: SuperNet,
    genotype: Genotype,
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
    smoothing: float = 0.0,
    momentum: Momentum | None = None,
    option: int | None = None,
    **options: Any,
) -> tuple[Number, Number]:
    """Move the activated tensors by one step and return (loss, accuracy) of the batch.

    Of a tensor that the architecture uses a slice of, only that slice moves.

    parameters: those of the hyper-network, in its order, for callers of many steps: to list them
    takes as long as to train a small path. parts: which parts of the batch the images are; those
    of the other processes count as much. precision: as ``mean_gradients_`` takes it. averages: of
    the parameters, kept up with the steps. weights, smoothing: of the classes and labels, as
    there. momentum: of the parameters, which has a weight decay of its own. option: form that
    every block takes. options: those of ``sgld_step_``.
    Raises FloatingPointError that names genotype and step, before anything moves, where the
    loss is not finite. A GPU is not waited for: its numbers are tensors, which nobody has read.
    """

    def forward(part: int, own: Tensor) -> Tensor:
        with global_stream(seed, "dropout", step, *parts.words(part)):
            return supernet(own, genotype, option=option)  # type: ignore[no-any-return]

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
        smoothing=smoothing,
    )
    loss, accuracy = outcome.unread()
    if not isinstance(loss, Tensor) and not math.isfinite(loss):
        supernet.zero_grad()
        raise FloatingPointError(
            f"the loss is {loss} at step {step} with the architecture "
            f"{supernet.space.format(genotype)}: lower train.learning_rate"
        )
    active = [(i, listed[i]) for i in used if listed[i].grad is not None]
    ids = [identity for identity, _ in active]
    slices = supernet.active_slices(genotype)
    grads = [cut(p.grad, slices.get(i)) for i, p in active if p.grad is not None]
    for average in averages:
        average.include_(step, ids)
    if momentum is not None:
        grads, options = momentum.advance_(ids, grads, slices), {**options, "weight_decay": 0.0}
    sgld_step_slices_(
        [parameter for _, parameter in active],
        grads,
        ids=ids,
        slices=slices,
        lr=lr,
        seed=derive(seed, "noise"),
        step=step,
        **options,
    )
    for _, parameter in active:
        parameter.grad = None
    return loss, accuracy


def float_steps(config: Config, task: Task) -> int:
    """Return how many steps train blocks that have bits to choose from without quantising."""
    if not has_bits(task.space):
        return 0
    steps = config.train.epochs * (len(task.dataset.train) // config.train.batch_size)
    return round(config.train.float_share * steps)


class SinglePath:
    """The strategy of the paper: draw an architecture, take a step of (Langevin) descent on it.

    averages, momentum: of the weights, kept up with the steps. Everything random is a function of
    the seed and of the step.
    """

    def __init__(
        self,
        supernet: SuperNet,
        task: Task,
        *,
        config: Config,
        schedule: Schedule,
        averages: Sequence[MovingAverage] = (),
        momentum: Momentum | None = None,
    ) -> None:
        self.momentum, self.task = momentum, task
        self.supernet, self.sampler = supernet, task.sampler
        self.config, self.schedule, self.averages = config, schedule, averages
        self.parts = own_parts("train", config.train)
        self.parameters = list(supernet.parameters())
        dataset = task.dataset
        self.class_weights = class_weights(
            dataset.train.labels, dataset.num_classes, config=config.data, device=dataset.device
        )
        self.float_steps = float_steps(config, task)
        if config.train.sync_batch_norm and current().size > 1:
            synchronise_(supernet, total)

    def update_(self, images: Tensor, labels: Tensor, step: int) -> tuple[Number, Number]:
        """Take a step on this process's part of a batch; return the whole's (loss, accuracy)."""
        return train_step_(
            self.supernet,
            self.sampler.genotype(step),
            images,
            labels,
            lr=self.rate(step),
            seed=self.config.seed,
            step=step,
            parameters=self.parameters,
            parts=self.parts,
            precision=self.config.train.precision,
            averages=self.averages,
            weights=self.class_weights,
            smoothing=self.config.train.label_smoothing,
            momentum=self.momentum,
            option=FLOAT if step < self.float_steps else None,
            **self.schedule.options,
        )

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        return self.schedule.learning_rate(step)

    def weights(self) -> Mapping[str, Tensor]:
        """Return the shared weights."""
        weights: Mapping[str, Tensor] = self.supernet.state_dict()
        return weights

    def numbers(self) -> Mapping[str, float]:
        """Return no further numbers."""
        return {}

    def remarks(self) -> list[str]:
        """Return no lines."""
        return []

    def state(self) -> Mapping[str, Tensor]:
        """Return the shared weights, the sums of their averages, and their velocities."""
        kept = [average.state() for average in self.averages]
        if self.momentum is not None:
            kept.append(self.momentum.state())
        parts = (self.supernet.state_dict(), *kept)
        return {name: value for part in parts for name, value in part.items()}

    def load_(self, tensors: dict[str, Tensor], file: Path) -> None:
        """Go on from a state; DamagedError names the file where a tensor is missing."""
        for average in self.averages:
            average.load_(tensors)
        if self.momentum is not None:
            self.momentum.load_(tensors)
        load_tensors_(self.supernet, tensors, file)
