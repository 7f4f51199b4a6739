"""Test images for the page, with what the best network takes them for."""

from dataclasses import dataclass

import torch
from torch import Tensor

from stnas.classifier import Classifier, load
from stnas.config import Config
from stnas.data import Dataset, FileSplit, Split
from stnas.data.epochs import evaluation_batches
from stnas.data.image_scan import open_images
from stnas.data.showing import picture
from stnas.report.load import Record

EACH = 6
"""Images of a class."""
CLASSES = 30
"""Classes that are shown at most: those that the best network recognises least."""
SIDE = 56


@dataclass(frozen=True)
class Sample:
    """A test image as the address of a PNG; answer: the class that it was taken for, if asked."""

    picture: str
    answer: str | None = None


@dataclass(frozen=True)
class Samples:
    """Images by class; why: the reason why there are none."""

    images: dict[str, list[Sample]]
    why: str = ""


def samples(config: Config, record: Record) -> Samples:
    """Take test images of each class that is shown; a reason where the images are not at hand."""
    try:
        dataset = open_images(config)
    except (OSError, ValueError) as error:
        return Samples({}, f"Images are not shown: {error}")
    known = record.train["data"]
    if tuple(known["classes"]) != dataset.classes or _changed(known, dataset):
        return Samples({}, "Images are not shown: those at data.path are not the run's own.")
    split: Split | FileSplit = dataset.test
    wanted = shown_classes(record)
    rows = [_rows(split.labels, dataset.classes.index(name)) for name in wanted]
    if not sum(map(len, rows)):
        return Samples({})
    found = iter(_samples(dataset, split.take(torch.cat(rows)), network(record)))
    return Samples(
        {name: [next(found) for _ in own] for name, own in zip(wanted, rows, strict=True)}
    )


def shown_classes(record: Record) -> list[str]:
    """List the classes of the page: all, or those that the best network recognises least."""
    classes: list[str] = list(record.train["data"]["classes"])
    chosen = [row for row in record.networks if row["role"] == "chosen"]
    recalls = chosen[-1].get("test_recalls") if chosen else None
    if len(classes) <= CLASSES or not recalls:
        return classes[:CLASSES]
    order = sorted(range(len(classes)), key=lambda i: 2.0 if (r := recalls[i]) is None else r)
    return [classes[i] for i in order[:CLASSES]]


def network(record: Record) -> Classifier | None:
    """Load the last chosen network; None where none is trained, or where it lies no more."""
    if not record.networks:
        return None
    try:
        return load(record.folder)
    except (FileNotFoundError, KeyError):  # rows of old releases do not tell whose network is whose
        return None


def _changed(known: dict[str, object], dataset: Dataset) -> bool:
    return known["fingerprint"] != dataset.fingerprint


def _rows(labels: Tensor, label: int) -> Tensor:
    """Spread some rows of a class evenly over its images."""
    own = (labels == label).nonzero()[:, 0]
    return own[torch.linspace(0, max(0, len(own) - 1), min(EACH, len(own))).long()]


def _samples(
    dataset: Dataset, split: Split | FileSplit, classifier: Classifier | None
) -> list[Sample]:
    """Draw images as a network sees them, with its answers."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (dataset.mean, dataset.std))
    found: list[Sample] = []
    for images, _ in evaluation_batches(dataset, split, size=256):
        pixels = (255 * (images * std + mean)).round().clamp(0, 255).to(torch.uint8)
        answers: list[str | None] = [None] * len(images)
        if classifier is not None:
            with torch.no_grad():
                best = classifier(images).argmax(1).tolist()
            answers = [classifier.classes[label] for label in best]
        for image, answer in zip(pixels, answers, strict=True):
            found.append(Sample(picture(image, side=SIDE), answer))
    return found
