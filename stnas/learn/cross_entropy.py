"""The loss of training: the cross entropy, with weights, smoothed labels and mixed images."""

import torch
from torch import Tensor
from torch.nn import functional


def backward(
    logits: Tensor,
    labels: Tensor,
    *,
    share: float,
    weights: Tensor | None = None,
    smoothing: float = 0.0,
    kept: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Add the gradient of ``share`` times the cross entropy; return (loss, accuracy), unread.

    weights: the loss is ``mean_i weights[y_i] * cross_entropy_i``. smoothing: a label counts
    ``1 - smoothing``, and ``smoothing / classes`` is added for every class. kept: share of a loss
    that its own label has; the label of the image at the same place from the end has the rest.
    """
    loss = entropy(logits, labels, weights, smoothing)
    if kept != 1.0:
        loss = torch.lerp(entropy(logits, labels.flip(0), weights, smoothing), loss, kept)
    scaled = loss if share == 1.0 else loss * share
    scaled.backward()  # type: ignore[no-untyped-call]
    right = (logits.detach().argmax(1) == labels).sum()
    return loss.detach(), right.double() / len(labels)


def entropy(logits: Tensor, labels: Tensor, weights: Tensor | None, smoothing: float) -> Tensor:
    """Return the mean cross entropy, each image's times the weight of its class."""
    if weights is None:
        return functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    each = functional.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
    return (each * weights[labels]).mean()
