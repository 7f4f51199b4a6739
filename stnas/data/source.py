"""Describe labelled images that are not chosen yet, and read those held in arrays."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from stnas.config.data import DataConfig
from stnas.data.dataset import check_bytes
from stnas.data.order import Indices
from stnas.data.proposal import settled_size

Pixels = NDArray[np.uint8]
Read = Callable[[Indices, Indices, Indices], tuple[Tensor, Tensor, Tensor]]


Whole = Callable[[Indices, Indices], tuple[Indices, Indices]]


def all_whole(rows: Indices, held: Indices) -> tuple[Indices, Indices]:
    """Keep all rows: of arrays every image can be read."""
    return rows, held


@dataclass(frozen=True, eq=False)
class Source:
    """Give all labels at once, and the images of chosen rows on demand."""

    name: str
    classes: tuple[str, ...]
    train_labels: Indices
    test_labels: Indices
    read: Read
    """Return the uint8 images ``[n, C, H, W]`` of training rows, of further training rows and of
    test rows."""
    whole: Whole = all_whole
    """Return those of some training rows and test rows whose images are to be read."""


def array_source(
    *,
    origin: str,
    name: str,
    classes: tuple[str, ...] | None,
    train: tuple[Pixels, Indices],
    test: tuple[Pixels, Indices],
    config: DataConfig,
) -> Source:
    """Make a source of arrays in memory: images uint8 ``[N, C, H, W]`` and labels int64 ``[N]``.

    ValueError: the counts, sizes or labels of ``origin`` do not fit together.
    """
    for part, (images, labels) in (("train", train), ("test", test)):
        if len(images) != len(labels):
            raise ValueError(
                f"{origin}: {part} must have one label for each image, got "
                f"{len(images)} images and {len(labels)} labels: repair the file"
            )
        if images.size == 0:
            raise ValueError(
                f"{origin}: {part} must not be empty, got images of shape "
                f"{list(images.shape)}: repair the file"
            )
    image_size = settled_size(np.array([train[0].shape[2:]], dtype=np.int64), config)
    _check_sizes(train[0].shape[1:], test[0].shape[1:], origin=origin, image_size=image_size)
    count = _check_labels(train[1], test[1], origin=origin)
    if classes is not None and len(classes) != count:
        raise ValueError(
            f"{origin}: there must be one name for each of the {count} classes, got "
            f"{len(classes)}: repair the names"
        )

    def read(rows: Indices, more: Indices, held: Indices) -> tuple[Tensor, Tensor, Tensor]:
        channels, height, width = train[0].shape[1:]
        check_bytes(
            len(rows) + len(more) + len(held),
            channels=channels,
            height=image_size or height,
            width=image_size or width,
            origin=origin,
        )
        return (
            _resized(train[0][rows], image_size),
            _resized(train[0][more], image_size),
            _resized(test[0][held], image_size),
        )

    names = classes or tuple(str(c) for c in range(count))
    return Source(name, names, train[1], test[1], read)


def _check_sizes(
    train: tuple[int, ...], test: tuple[int, ...], *, origin: str, image_size: int | None
) -> None:
    """Refuse splits of different shape, and images that are not square where nothing cuts them."""
    if train != test:
        raise ValueError(
            f"{origin}: training and test images must have one shape [C, H, W], got "
            f"{list(train)} and {list(test)}: repair the file"
        )
    if image_size is None and train[1] != train[2]:
        raise ValueError(
            f"{origin}: images must be square, got {train[2]}x{train[1]} pixels: set "
            f"--data.image_size {min(train[1:])} to cut out the centre"
        )


def _check_labels(train: Indices, test: Indices, *, origin: str) -> int:
    """Return the number of classes K; refuse labels that are not 0..K-1, all of them in use."""
    for part, labels in (("train", train), ("test", test)):
        if labels.min() < 0 or labels.max() >= len(train):
            bad = int(labels.min() if labels.min() < 0 else labels.max())
            raise ValueError(
                f"{origin}: {part} labels must be 0 to K-1 for K classes, got {bad}: "
                "number the classes from 0 without gaps"
            )
    counts = np.bincount(train)
    if len(counts) < 2:
        raise ValueError(f"{origin}: there must be at least 2 classes, got 1: add another class")
    if not counts.all():
        raise ValueError(
            f"{origin}: every class must have training images, got none for label "
            f"{int(counts.argmin())}: number the classes from 0 without gaps"
        )
    if test.max() >= len(counts):
        raise ValueError(
            f"{origin}: test labels must be classes of the training set, 0 to "
            f"{len(counts) - 1}, got {int(test.max())}: repair the labels"
        )
    return len(counts)


def _resized(images: Pixels, size: int | None) -> Tensor:
    """Scale the shorter side to ``size`` (bilinear, antialiased) and cut out the centre square."""
    tensor = torch.from_numpy(np.ascontiguousarray(images))
    height, width = tensor.shape[2:]
    if size is None or (height, width) == (size, size) or len(tensor) == 0:
        return tensor
    scale = size / min(height, width)
    shape = (max(size, round(height * scale)), max(size, round(width * scale)))
    scaled = functional.interpolate(tensor, shape, mode="bilinear", antialias=True)
    top, left = (shape[0] - size) // 2, (shape[1] - size) // 2
    return scaled[:, :, top : top + size, left : left + size].contiguous()
