"""BN recalibration and accuracy of a network."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor, nn
from torch.nn import functional

from stnas.group.processes import ProcessGroup

Recalls = tuple[float | None, ...]


@dataclass(frozen=True)
class Evaluation:
    """Share of the images that are classified rightly, and the mean cross entropy.

    recalls: share of each class's images that is classified rightly; None: it has no images.
    balanced_accuracy: the mean of the recalls, whatever number of images the classes have.
    """

    accuracy: float
    loss: float
    balanced_accuracy: float
    recalls: Recalls


SIGN = {"loss": 1.0, "accuracy": -1.0, "balanced_accuracy": -1.0}
"""Sign that makes a field of Evaluation one that is minimised."""


@torch.no_grad()
def recalibrate_(network: nn.Module, images: Iterable[Tensor]) -> None:
    """Compute the BN statistics anew: reset, then the cumulative average over the batches.

    BN alone runs in training mode; the network is left in evaluation mode. The host counts the
    batches: a layer that does it itself asks its device at every one.
    """
    with fresh_statistics(network) as layers:
        for number, batch in enumerate(images, start=1):
            for layer in layers:
                layer.momentum = 1.0 / number
            network(batch)


@contextmanager
def fresh_statistics(module: nn.Module) -> Iterator[list[nn.BatchNorm2d]]:
    """Let BN layers take the cumulative average over what they see, from mean 0 and variance 1.

    They alone, which it yields, are in training mode meanwhile; all is in evaluation mode behind.
    """
    module.eval()
    layers = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    yield layers
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()


class Tally:
    """Running count of the images of each class, those classified rightly, and cross entropy.

    Kept where the logits are, so that a GPU is waited for once, when somebody reads.
    """

    def __init__(self) -> None:
        self._counts: Tensor | None = None
        self._losses: list[Tensor] = []

    def add_(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: logits ``[N, classes]``, labels ``[N]``."""
        if self._counts is None:
            self._counts = labels.new_zeros((2, logits.shape[1]))
        right, seen = self._counts
        right.index_add_(0, labels, (logits.argmax(1) == labels).to(labels.dtype))
        seen.index_add_(0, labels, torch.ones_like(labels))
        self._losses.append(functional.cross_entropy(logits, labels, reduction="sum"))

    @property
    def right(self) -> list[int]:
        """Return how many images of each class were classified rightly."""
        return [] if self._counts is None else self._counts[0].tolist()

    @property
    def seen(self) -> list[int]:
        """Return how many images of each class there were."""
        return [] if self._counts is None else self._counts[1].tolist()

    @property
    def loss(self) -> float:
        """Return the sum of the cross entropies."""
        return sum(torch.stack(self._losses).tolist()) if self._losses else 0.0

    def result(self) -> Evaluation:
        """Return the shares over all images."""
        return evaluation(self.right, self.seen, self.loss)


def evaluation(right: Sequence[int], seen: Sequence[int], loss: float) -> Evaluation:
    """Return what counts by class and a sum of cross entropies say of all images."""
    count, recalls = sum(seen), shares(right, seen)
    return Evaluation(sum(right) / count, loss / count, balanced(recalls), recalls)


def shares(parts: Sequence[int], wholes: Sequence[int]) -> Recalls:
    """Return what share of each whole a part is; None of nothing."""
    pairs = zip(parts, wholes, strict=True)
    return tuple(part / whole if whole else None for part, whole in pairs)


def balanced(recalls: Recalls) -> float:
    """Return the mean recall of the classes that have images."""
    known = [recall for recall in recalls if recall is not None]
    return sum(known) / len(known)


def added(first: Sequence[int], second: Sequence[int]) -> list[int]:
    """Add counts by class; no counts are zeros."""
    return [sum(pair) for pair in zip_longest(first, second, fillvalue=0)]


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
    total_right, total_seen, total_loss = list[int](), list[int](), 0.0
    for right, seen, loss in group.gather((tally.right, tally.seen, tally.loss)):
        total_right, total_seen = added(total_right, right), added(total_seen, seen)
        total_loss += loss
    return evaluation(total_right, total_seen, total_loss)
