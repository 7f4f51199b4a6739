"""Make batches: order, augmentation and normalisation of whole tensors at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from stnas.config.data import DataConfig
from stnas.data.dataset import Split
from stnas.data.order import Stream, permutation, resampled
from stnas.ops.images import Places, crop_mirror_normalise, normalise, windows
from stnas.ops.sending import sent

_LUMA = (0.299, 0.587, 0.114)


def epoch_order(n: int, *, seed: int, epoch: int) -> Tensor:
    """Return the order of ``n`` training images in an epoch, int64 ``[n]``, a pure function."""
    return torch.from_numpy(permutation(n, stream=Stream.EPOCH, seed=seed, index=epoch))


def epoch_rows(labels: Tensor, *, config: DataConfig, seed: int, epoch: int) -> Tensor:
    """Return the rows of an epoch in their order, int64 ``[n]``, a pure function.

    labels: of the n training images. It is ``epoch_order`` but for ``data.balance resampling``.
    """
    if config.balance != "resampling":
        return epoch_order(len(labels), seed=seed, epoch=epoch)
    return torch.from_numpy(resampled(labels.numpy(), seed=seed, index=epoch))


def class_weights(
    labels: Tensor, classes: int, *, config: DataConfig, device: torch.device | None = None
) -> Tensor | None:
    """Return the factors ``N / (K n_c)`` of the loss of each class c, float32 ``[K]``.

    labels: of the N training images, n_c of them of class c. device: where they are to be; default:
    the processor. None: ``data.balance`` is another.
    """
    if config.balance != "weights":
        return None
    counts = labels.bincount(minlength=classes).clamp(min=1)
    return (len(labels) / (classes * counts.double())).float().to(device)


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
    that order, and only for what is on. It draws on the processor, so the images are the same on
    every device: the one that those of the split are on. IndexError: a row does not exist.
    """
    device = split.images.device
    padding, count = config.padding(split.image_size), len(indices)
    offsets = mirrored = None
    if padding > 0:
        offsets = torch.randint(0, 2 * padding + 1, (2, count), generator=generator)
    if config.flip:
        mirrored = torch.rand(count, generator=generator) < 0.5
    labels, rows = sent(split.labels[indices], device), sent(indices, device)
    places = Places(
        None if offsets is None else sent(offsets, device),
        None if mirrored is None else sent(mirrored, device),
        padding,
    )
    if config.jitter > 0.0:
        factors = torch.rand((3, count), generator=generator)
        factors = factors.mul_(2 * config.jitter).add_(1 - config.jitter)
        images = jittered(windows(split.images[rows], places), factors, mean=mean, std=std)
    else:
        images = crop_mirror_normalise(split.images, rows, places, mean=mean, std=std)
    return images, labels


def eval_batch(
    split: Split, start: int, stop: int, *, mean: Sequence[float], std: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Return the normalised images and the labels of the rows ``start`` to ``stop - 1``."""
    images = normalise(split.images[start:stop], mean=mean, std=std)
    return images, sent(split.labels[start:stop], images.device)


def jittered(
    images: Tensor, factors: Tensor, *, mean: Sequence[float], std: Sequence[float]
) -> Tensor:
    """Scale brightness, contrast and saturation by ``factors`` ``[3, B]``, then normalise.

    images: uint8 ``[B, C, H, W]``; contrast is scaled about an image's mean, saturation about its
    luma, and after each step pixels are held in their range.
    """
    pixels = _jitter(images.float().div_(255.0), factors)
    return normalise(pixels, mean=mean, std=std, top=1.0)


def _jitter(images: Tensor, factors: Tensor) -> Tensor:
    """Scale brightness, contrast (about the image's mean) and saturation (about its luma).

    images: float in [0, 1]. factors: ``[3, B]``.
    """
    bright, contrast, saturation = sent(factors, images.device)[:, :, None, None, None]
    images = (images * bright).clamp_(0, 1)
    images = torch.lerp(images.mean((1, 2, 3), keepdim=True), images, contrast).clamp_(0, 1)
    if images.shape[1] == 3:
        weights = sent(torch.tensor(_LUMA), images.device)[:, None, None]
        luma = (images * weights).sum(1, keepdim=True)
        images = torch.lerp(luma, images, saturation).clamp_(0, 1)
    return images
