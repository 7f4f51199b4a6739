"""Hold labelled images, or the names of their files."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stnas.config.data import DataConfig
from stnas.data.order import Indices

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

    @property
    def image_size(self) -> int:
        """Return the height, which equals the width."""
        return self.images.shape[-1]

    @property
    def in_channels(self) -> int:
        """Return 1 for grey and 3 for colour images."""
        return self.images.shape[1]

    def take(self, rows: Tensor) -> "Split":
        """Return the images of some rows."""
        return Split(self.images[rows.to(self.images.device)], self.labels[rows])

    def on(self, device: torch.device) -> "Split":
        """Return the same with the images in a device's memory; labels stay on the processor."""
        return Split(self.images.to(device), self.labels)

    def joined(self, other: "Split") -> "Split":
        """Return the images of both splits."""
        return Split(torch.cat((self.images, other.images)), torch.cat((self.labels, other.labels)))


@dataclass(frozen=True, eq=False)
class FileSplit:
    """Pair image files with their labels ``[N]`` int64; the pixels stay on the disk."""

    files: tuple[Path, ...]
    sizes: Indices
    """Height and width of what the files show ``[N, 2]``."""
    stamps: Indices
    """Bytes and time of the last change in nanoseconds ``[N, 2]``."""
    special: NDArray[np.bool_]
    """Whether Pillow makes plain pixels of the file, whatever the backend is ``[N]``."""
    labels: Tensor
    config: DataConfig
    """How the files are read; its backend is no longer ``auto``."""

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.files)

    @property
    def image_size(self) -> int:
        """Return the height, which equals the width, of what a network sees."""
        assert isinstance(self.config.image_size, int)
        return self.config.image_size

    @property
    def in_channels(self) -> int:
        """Return 3: grey images are read as colour."""
        return 3

    def take(self, rows: Tensor) -> "FileSplit":
        """Return the images of some rows."""
        files = tuple(self.files[row] for row in rows.tolist())
        return FileSplit(
            files,
            self.sizes[rows.numpy()],
            self.stamps[rows.numpy()],
            self.special[rows.numpy()],
            self.labels[rows],
            self.config,
        )

    def on(self, device: torch.device) -> "FileSplit":
        """Return the same: batches are sent as they come."""
        return self

    def joined(self, other: "FileSplit") -> "FileSplit":
        """Return the images of both splits."""
        return FileSplit(
            self.files + other.files,
            np.concatenate((self.sizes, other.sizes)),
            np.concatenate((self.stamps, other.stamps)),
            np.concatenate((self.special, other.special)),
            torch.cat((self.labels, other.labels)),
            self.config,
        )


@dataclass(frozen=True, eq=False)
class Dataset:
    """Hold the three splits of one data set and what a run must know of it."""

    train: Split | FileSplit
    validation: Split | FileSplit
    """Held out of the training images; architectures are compared on it."""
    test: Split | FileSplit
    name: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    """Mean of each channel over ``train`` (streamed: a sample of it), pixels in [0, 1]."""
    std: tuple[float, ...]
    """Standard deviation of each channel, likewise; 1 where a channel is constant."""
    fingerprint: str
    """First 16 hexadecimal digits of the SHA-256 of pixels, labels and their division."""
    device: torch.device = torch.device("cpu")  # noqa: RUF009 it is frozen
    """Where batches are made, or sent to."""

    def on(self, device: torch.device) -> "Dataset":
        """Return the same with its batches on a device."""
        parts = {name: getattr(self, name).on(device) for name in ("train", "validation", "test")}
        return replace(self, **parts, device=device)

    @property
    def image_size(self) -> int:
        """Return the height, which equals the width."""
        return self.train.image_size

    @property
    def in_channels(self) -> int:
        """Return 1 for grey and 3 for colour images."""
        return self.train.in_channels

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
            "to a smaller size or data.train_limit and data.test_limit to fewer images, or stream "
            "a folder of image files with data.backend auto"
        )
