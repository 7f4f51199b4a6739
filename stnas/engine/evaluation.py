"""BN recalibration and accuracy of a network."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Evaluation:
    """Share of the images that are classified rightly, and the mean cross entropy."""

    accuracy: float
    loss: float


@torch.no_grad()
def recalibrate_(network: nn.Module, images: list[Tensor]) -> None:
    """Compute the BN statistics anew: reset, then the cumulative average over the batches.

    BN alone runs in training mode; the network is left in evaluation mode.
    """
    network.eval()
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    for batch in images:
        network(batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()


@torch.no_grad()
def evaluate(network: nn.Module, data: list[tuple[Tensor, Tensor]]) -> Evaluation:
    """Classify all batches in evaluation mode."""
    network.eval()
    right, loss, count = 0, 0.0, 0
    for images, labels in data:
        logits = network(images)
        right += int((logits.argmax(1) == labels).sum())
        loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
        count += len(labels)
    return Evaluation(accuracy=right / count, loss=loss / count)
