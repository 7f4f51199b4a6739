"""Figures of a classifier on labelled images."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stnas.learn.evaluation import balanced, shares


@dataclass(frozen=True)
class ClassFigures:
    """What became of the images of a class; None where a share has nothing to be one of.

    recall: share of its images that were given to it. precision: share of those given to it that
    are of it.
    """

    name: str
    images: int
    recall: float | None
    precision: float | None


@dataclass(frozen=True)
class Figures:
    """Shares of right answers, and where the others went.

    top5: None with five classes or fewer. balanced: mean of the recalls of classes with images.
    confusion: number of images ``[true class][answer]``. hardest: rows by falling loss. losses,
    answers: of every row.
    """

    images: int
    top1: float
    top5: float | None
    balanced: float
    loss: float
    classes: tuple[ClassFigures, ...]
    confusion: list[list[int]]
    hardest: list[int]
    losses: list[float]
    answers: list[int]


def figures(logits: Tensor, labels: Tensor, names: tuple[str, ...]) -> Figures:
    """Compute the figures of logits ``[N, classes]`` against labels ``[N]``."""
    count, answers = len(names), logits.argmax(1)
    losses = functional.cross_entropy(logits.double(), labels, reduction="none")
    confusion = (labels * count + answers).bincount(minlength=count * count).view(count, count)
    right, own = confusion.diagonal().tolist(), confusion.sum(1).tolist()
    recalls, precisions = shares(right, own), shares(right, confusion.sum(0).tolist())
    top5 = None
    if count > 5:
        best = logits.topk(5, 1).indices
        top5 = float((best == labels[:, None]).any(1).double().mean())
    return Figures(
        images=len(labels),
        top1=float((answers == labels).double().mean()),
        top5=top5,
        balanced=balanced(recalls),
        loss=float(losses.mean()),
        classes=tuple(
            ClassFigures(name, n, recall, precision)
            for name, n, recall, precision in zip(names, own, recalls, precisions, strict=True)
        ),
        confusion=confusion.tolist(),
        hardest=torch.argsort(losses, descending=True, stable=True).tolist(),
        losses=losses.tolist(),
        answers=answers.tolist(),
    )
