"""SGD of one network: its groups of parameters, and the learning rate of every step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim import SGD

from stnas.config import Config, RetrainConfig
from stnas.learn.single_path import FALLS
from stnas.supernet import Network


def learning_rate(config: Config, step: int, *, steps: int) -> float:
    """Return the rate of a step: linear up in the warm-up, then down to 0.

    steps: steps of an epoch.
    """
    retrain = config.retrain
    warmup = round(retrain.warmup_epochs * steps)
    if step < warmup:
        return retrain.learning_rate * (step + 1) / warmup
    rest = retrain.epochs * steps - warmup
    fall = FALLS[retrain.schedule]
    return fall(step - warmup, steps=rest, start=retrain.learning_rate, end=0.0)


def optimiser(network: Network, options: RetrainConfig) -> SGD:
    """Make SGD, in which all parameters decay or those of two dimensions and more alone."""
    groups: list[dict[str, Any]] = [{"params": list(network.parameters())}]
    if not options.decay_vectors:
        vectors = [own for own in network.parameters() if own.ndim < 2]
        others = [own for own in network.parameters() if own.ndim >= 2]
        groups = [{"params": others}, {"params": vectors, "weight_decay": 0.0}]
    return SGD(
        groups,
        lr=options.learning_rate,
        momentum=options.momentum,
        nesterov=options.nesterov and options.momentum > 0,
        weight_decay=options.weight_decay,
        fused=True,
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch's operators on this thread.

    Its fused SGD wakes the others for every tensor, however small, which takes longer than the
    step: 15 us a tensor where they sleep (``OMP_WAIT_POLICY=PASSIVE``).
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
