"""BN recalibration and accuracy of a network."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from stnas.group.processes import ProcessGroup


@dataclass(frozen=True)
class Evaluation:
    """Share of the images that are classified rightly, and the mean cross entropy."""

    accuracy: float
    loss: float


SIGN = {"loss": 1.0, "accuracy": -1.0}
"""Sign that makes a field of Evaluation one that is minimised."""


@torch.no_grad()
def recalibrate_(network: nn.Module, images: Iterable[Tensor]) -> None:
    """Compute the BN statistics anew: reset, then the cumulative average over the batches.

    BN alone runs in training mode; the network is left in evaluation mode.
    """
    with fresh_statistics(network):
        for batch in images:
            network(batch)


@contextmanager
def fresh_statistics(module: nn.Module) -> Iterator[None]:
    """Let BN layers take the cumulative average over what they see, from mean 0 and variance 1.

    They alone are in training mode meanwhile; all is in evaluation mode behind.
    """
    module.eval()
    layers = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    yield
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()


class Tally:
    """Running count of the images that are classified rightly, and of their cross entropy."""

    def __init__(self) -> None:
        self.right, self.loss, self.count = 0, 0.0, 0

    def add_(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: logits ``[N, classes]``, labels ``[N]``."""
        self.right += int((logits.argmax(1) == labels).sum())
        self.loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
        self.count += len(labels)

    def result(self) -> Evaluation:
        """Return the shares over all images."""
        return Evaluation(accuracy=self.right / self.count, loss=self.loss / self.count)


@torch.no_grad()
def evaluate(network: nn.Module, data: Iterable[tuple[Tensor, Tensor]]) -> Evaluation:
    """Classify all batches in evaluation mode."""
    network.eval()
    tally = Tally()
    for images, labels in data:
        tally.add_(network(images), labels)
    return tally.result()


@torch.no_grad()
def evaluate_together(
    network: nn.Module, data: Iterable[tuple[Tensor, Tensor]], group: ProcessGroup
) -> Evaluation:
    """Classify the batches of all processes, of which each has its own, in evaluation mode.

    The accuracy is that of ``evaluate``, which counts; the loss may differ by rounding.
    """
    network.eval()
    tally = Tally()
    for images, labels in data:
        tally.add_(network(images), labels)
    parts = group.gather((tally.right, tally.loss, tally.count))
    tally.right, tally.loss, tally.count = (sum(column) for column in zip(*parts, strict=True))
    return tally.result()
