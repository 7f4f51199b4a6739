"""Fine-tuning of an architecture that is cut out of the hyper-network."""

import copy
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from stnas.config import Config
from stnas.data import class_weights
from stnas.data.epochs import training_batches
from stnas.group.streams import derive, global_stream
from stnas.learn.gradients import Parts, mean_gradients_
from stnas.learn.supernet_epoch import steps_per_epoch
from stnas.learn.task import Task
from stnas.ops.sgld import sgld_step_
from stnas.supernet import Network, SuperNet


def finetuned(
    supernet: SuperNet,
    genotype: NDArray[np.int8],
    stops: Sequence[int],
    *,
    config: Config,
    task: Task,
) -> Iterator[tuple[int, Network]]:
    """Train an architecture on from the shared weights, which stay as they are.

    stops: numbers of steps, rising, at most those of an epoch; the network is yielded after each.
    Its BN statistics are the cumulative averages over the steps.
    """
    text = task.space.format(genotype)
    network = copy.deepcopy(supernet.extract(genotype))
    dataset, size = task.dataset, config.train.batch_size
    data = training_batches(
        dataset,
        dataset.train,
        config=config,
        purpose=f"finetune/{text}",
        seed=derive(config.seed, "finetune", text),
        epoch=0,
        size=size,
    )
    parameters = list(network.parameters())
    weights = class_weights(
        dataset.train.labels, dataset.num_classes, config=config.data, device=dataset.device
    )
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    for step, (images, labels) in enumerate(data, start=1):
        network.train()
        for layer in norms:
            layer.momentum = 1.0 / step
        with global_stream(config.seed, "finetune", text, step):
            mean_gradients_(
                parameters,
                lambda _, own: network(own),
                images,
                labels,
                parts=Parts(),
                weights=weights,
            )
        sgld_step_(
            parameters,
            [p.grad for p in parameters if p.grad is not None],
            ids=range(len(parameters)),
            lr=config.rank.finetune_learning_rate,
            weight_decay=config.train.weight_decay,
            mode="none",
            seed=0,
            step=step,
        )
        for parameter in parameters:
            parameter.grad = None
        if step in stops:
            yield step, network
        if step == stops[-1]:
            return


def stop_steps(steps: int | None, *, config: Config, task: Task) -> int:
    """Return the number of steps of a way; None is an epoch, and none is longer."""
    epoch = steps_per_epoch(len(task.dataset.train), config.train.batch_size)
    return epoch if steps is None else min(steps, epoch)
