"""Make batches: order, augmentation and normalisation of whole tensors at once."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from stnas.config.data import DataConfig
from stnas.data.dataset import Split
from stnas.data.order import Stream, permutation

_LUMA = (0.299, 0.587, 0.114)


def epoch_order(n: int, *, seed: int, epoch: int) -> Tensor:
    """Return the order of ``n`` training images in an epoch, int64 ``[n]``, a pure function."""
    return torch.from_numpy(permutation(n, stream=Stream.EPOCH, seed=seed, index=epoch))


def train_batch(
    split: Split,
    indices: Tensor,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    config: DataConfig,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Return the augmented, normalised images of the rows ``indices`` and their labels.

    Images: float32 ``[B, C, H, W]``, channels last; labels: int64 ``[B]``. A window is cut out of
    the image padded with black pixels, then mirrored, then jittered. The generator is drawn from in
    that order, and only for what is on. IndexError: a row does not exist.
    """
    images = split.images[indices]
    if config.crop_padding > 0:
        images = _crop(images, padding=config.crop_padding, generator=generator)
    if config.flip:
        images = _mirror(images, generator=generator)
    if config.jitter > 0.0:
        factors = torch.rand((3, len(images)), generator=generator)
        factors = factors.mul_(2 * config.jitter).add_(1 - config.jitter)
        return jittered(images, factors, mean=mean, std=std), split.labels[indices]
    return normalise(images, mean=mean, std=std), split.labels[indices]


def eval_batch(
    split: Split, start: int, stop: int, *, mean: Sequence[float], std: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Return the normalised images and the labels of the rows ``start`` to ``stop - 1``."""
    return normalise(split.images[start:stop], mean=mean, std=std), split.labels[start:stop]


def normalise(images: Tensor, *, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return ``(images / 255 - mean) / std`` of uint8 ``[B, C, H, W]``: float32, channels last."""
    return _normalise(images, mean, std, top=255.0)


def jittered(
    images: Tensor, factors: Tensor, *, mean: Sequence[float], std: Sequence[float]
) -> Tensor:
    """Scale brightness, contrast and saturation by ``factors`` ``[3, B]``, then normalise.

    images: uint8 ``[B, C, H, W]``; contrast is scaled about an image's mean, saturation about its
    luma, and after each step pixels are held in their range.
    """
    pixels = _jitter(images.float().div_(255.0), factors)
    return _normalise(pixels, mean, std, top=1.0)


def _normalise(
    images: Tensor, mean: Sequence[float], std: Sequence[float], *, top: float
) -> Tensor:
    """Return ``(images / top - mean) / std`` in the channels-last layout, one channel included."""
    batch, channels, height, width = images.shape
    if not len(mean) == len(std) == channels:
        raise ValueError(
            f"mean and std must have one number for each of the {channels} channels, "
            f"got {len(mean)} and {len(std)}: take those of the data set"
        )
    out = torch.empty((batch, height, width, channels), device=images.device).permute(0, 3, 1, 2)
    centre = torch.tensor(mean, device=images.device).mul_(top)[:, None, None]
    scale = torch.tensor(std, device=images.device).mul_(top).reciprocal_()[:, None, None]
    return torch.sub(images, centre, out=out).mul_(scale)


def _crop(images: Tensor, *, padding: int, generator: torch.Generator) -> Tensor:
    """Cut a window of its own size at a random place out of each padded image."""
    batch, _, height, width = images.shape
    offsets = torch.randint(0, 2 * padding + 1, (2, batch), generator=generator)
    top, left = offsets.to(images.device)
    windows = functional.pad(images, (padding,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(batch, device=images.device), :, top, left]


def _mirror(images: Tensor, *, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right with probability 1/2."""
    mirrored = torch.rand((len(images), 1, 1, 1), generator=generator) < 0.5
    return torch.where(mirrored.to(images.device), images.flip(3), images)


def _jitter(images: Tensor, factors: Tensor) -> Tensor:
    """Scale brightness, contrast (about the image's mean) and saturation (about its luma).

    images: float in [0, 1]. factors: ``[3, B]``.
    """
    bright, contrast, saturation = factors[:, :, None, None, None].to(images.device)
    images = (images * bright).clamp_(0, 1)
    images = torch.lerp(images.mean((1, 2, 3), keepdim=True), images, contrast).clamp_(0, 1)
    if images.shape[1] == 3:
        weights = torch.tensor(_LUMA, device=images.device)[:, None, None]
        luma = (images * weights).sum(1, keepdim=True)
        images = torch.lerp(luma, images, saturation).clamp_(0, 1)
    return images
