"""Hold labelled images in memory."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

MAX_BYTES = 4 * 2**30


@dataclass(frozen=True, eq=False)
class Split:
    """Pair images ``[N, C, H, W]`` uint8 with their labels ``[N]`` int64."""

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        """Refuse tensors whose kind, rank or length do not fit together."""
        if self.images.dtype != torch.uint8 or self.labels.dtype != torch.int64:
            raise TypeError(
                "a split needs uint8 images and int64 labels, got "
                f"{self.images.dtype} and {self.labels.dtype}: convert them"
            )
        if self.images.dim() != 4 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                "a split needs images [N, C, H, W] and labels [N], got "
                f"{list(self.images.shape)} and {list(self.labels.shape)}: reshape them"
            )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Hold the three splits of one data set and what a run must know of it."""

    train: Split
    validation: Split
    """Held out of the training images; architectures are compared on it."""
    test: Split
    name: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    """Mean of each channel over ``train``, pixels scaled to [0, 1]."""
    std: tuple[float, ...]
    """Standard deviation of each channel over ``train``; 1 where a channel is constant."""
    fingerprint: str
    """First 16 hexadecimal digits of the SHA-256 of pixels, labels and their division."""

    @property
    def image_size(self) -> int:
        """Return the height, which equals the width."""
        return self.train.images.shape[-1]

    @property
    def in_channels(self) -> int:
        """Return 1 for grey and 3 for colour images."""
        return self.train.images.shape[1]

    @property
    def num_classes(self) -> int:
        """Return the number of classes."""
        return len(self.classes)


def assemble(
    *, train: Split, validation: Split, test: Split, name: str, classes: tuple[str, ...]
) -> Dataset:
    """Make a data set of its splits: adds the statistics of ``train`` and the fingerprint."""
    mean, std = statistics(train.images)
    return Dataset(
        train=train,
        validation=validation,
        test=test,
        name=name,
        classes=classes,
        mean=mean,
        std=std,
        fingerprint=fingerprint(train, validation, test),
    )


def statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel in [0, 1], from exact integer sums."""
    n = images.numel() // images.shape[1]
    rows = max(1, 2**22 // max(1, images[0].numel()))
    values = np.arange(256, dtype=np.int64)
    mean, std = [], []
    for channel in range(images.shape[1]):
        counts = np.zeros(256, dtype=np.int64)
        for part in torch.split(images[:, channel], rows):
            counts += np.bincount(part.reshape(-1).numpy(), minlength=256)
        first, second = int(counts @ values), int(counts @ values**2)
        mean.append(first / n / 255)
        std.append((n * second - first * first) ** 0.5 / n / 255 or 1.0)
    return tuple(mean), tuple(std)


def fingerprint(*splits: Split) -> str:
    """Return 16 hexadecimal digits of the SHA-256 over shapes, pixels and labels in order."""
    digest = hashlib.sha256()
    for split in splits:
        digest.update(repr(tuple(split.images.shape)).encode())
        digest.update(split.images.contiguous().numpy().reshape(-1).data)
        digest.update(split.labels.contiguous().numpy().astype("<i8").tobytes())
    return digest.hexdigest()[:16]


def check_bytes(count: int, *, channels: int, height: int, width: int, origin: object) -> None:
    """Refuse ``count`` images that would not fit into 4 GiB of memory."""
    size = count * channels * height * width
    if size > MAX_BYTES:
        raise ValueError(
            f"{origin}: {count} images of {channels}x{height}x{width} take {size / 2**30:.1f} GiB "
            f"in memory, more than the bound of {MAX_BYTES / 2**30:.0f} GiB: set data.image_size "
            "to a smaller size or data.train_limit and data.test_limit to fewer images"
        )
