"""Windows of images, mirrored and normalised: what a training batch in memory is made of."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

import stnas.ops.extension  # noqa: F401
from stnas.ops.sending import sent

OPERATOR = torch.ops.stnas.crop_mirror_normalise.default


class Places(NamedTuple):
    """Where the windows of B images are, on the images' device; None leaves a step out.

    offsets: top and left in the image with ``padding`` black pixels on each side, int64 ``[2, B]``
    in ``[0, 2 padding]``. mirrored: whether left and right change places, bool ``[B]``.
    """

    offsets: Tensor | None
    mirrored: Tensor | None
    padding: int


def crop_mirror_normalise(
    images: Tensor, rows: Tensor, places: Places, *, mean: Sequence[float], std: Sequence[float]
) -> Tensor:
    """Return ``normalise(windows(images[rows], places))``: float32, channels last.

    One pass on the CPU; elsewhere torch's operators, by which the host waits for nothing. images:
    uint8 ``[N, C, H, W]``. rows: int64 ``[B]``, on the images' device.
    Raises IndexError for a row that does not exist, ValueError for places outside their range, for
    a wrong shape or dtype, and unless mean and std have one number a channel.
    """
    if images.is_cpu and images.is_contiguous():
        return OPERATOR(images, rows, *places, mean, std)  # type: ignore
    return normalise(windows(images[rows], places), mean=mean, std=std)


def windows(images: Tensor, places: Places) -> Tensor:
    """Cut a window of its own size out of each image ``[B, C, H, W]``, and mirror it."""
    if places.offsets is not None:
        images = _crop(images, places.offsets, padding=places.padding)
    if places.mirrored is None:
        return images
    return torch.where(places.mirrored[:, None, None, None], images.flip(3), images)


def _crop(images: Tensor, offsets: Tensor, *, padding: int) -> Tensor:
    batch, _, height, width = images.shape
    top, left = offsets
    padded = functional.pad(images, (padding,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    return padded[torch.arange(batch, device=images.device), :, top, left]


def normalise(
    images: Tensor, *, mean: Sequence[float], std: Sequence[float], top: float = 255.0
) -> Tensor:
    """Return ``(images / top - mean) / std`` of ``[B, C, H, W]``: float32, channels last.

    Raises ValueError unless mean and std have one number a channel.
    """
    batch, channels, height, width = images.shape
    if not len(mean) == len(std) == channels:
        raise ValueError(
            f"mean and std must have one number for each of the {channels} channels, "
            f"got {len(mean)} and {len(std)}: take those of the data set"
        )
    out = torch.empty((batch, height, width, channels), device=images.device).permute(0, 3, 1, 2)
    centre = sent(torch.tensor(mean), images.device).mul_(top)[:, None, None]
    scale = sent(torch.tensor(std), images.device).mul_(top).reciprocal_()[:, None, None]
    return torch.sub(images, centre, out=out).mul_(scale)


@torch.library.register_fake("stnas::crop_mirror_normalise")  # type: ignore[untyped-decorator]
def _fake(images: Tensor, rows: Tensor, *_: object) -> Tensor:
    channels, height, width = images.shape[1:]
    shape = (len(rows), height, width, channels)
    return images.new_empty(shape, dtype=torch.float32).permute(0, 3, 1, 2)
