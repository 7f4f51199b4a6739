"""Read streamed images with Pillow, in threads, while the batch before is worked on."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image
from PIL import __version__ as pillow_version
from torch import Tensor

from stnas.config.data import DataConfig
from stnas.data.batches import jittered
from stnas.data.decode import opened
from stnas.data.requests import AHEAD, Request
from stnas.data.scan import FORMATS
from stnas.data.showing import shown, shown_size
from stnas.data.source import Pixels
from stnas.ops.images import normalise


def name() -> str:
    """Name the decoder and its version."""
    return f"Pillow {pillow_version}"


def read(
    requests: Iterator[Request],
    *,
    config: DataConfig,
    mean: Sequence[float],
    std: Sequence[float],
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the normalised images and the labels of each request, in order.

    Images: float32 ``[B, 3, S, S]``, channels last; labels: int64 ``[B]``.
    """
    pool = ThreadPoolExecutor(max_workers=config.workers or os.cpu_count())
    waiting: deque[tuple[Request, list[Future[Pixels]]]] = deque()
    try:
        for request in requests:
            rows = range(len(request.files))
            waiting.append((request, [pool.submit(cut, request, row, config) for row in rows]))
            if len(waiting) > AHEAD:
                yield _finished(*waiting.popleft(), mean=mean, std=std)
        while waiting:
            yield _finished(*waiting.popleft(), mean=mean, std=std)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def cut(request: Request, row: int, config: DataConfig) -> Pixels:
    """Decode one file and scale its window to uint8 ``[S, S, 3]``, mirrored if asked.

    Bilinear and antialiased; S is ``image_size``.
    """
    assert isinstance(config.image_size, int)
    top, left, bottom, right = request.windows[row].tolist()
    image = picture(request, row, config)
    size = (config.image_size, config.image_size)
    scaled = image.resize(size, Image.Resampling.BILINEAR, box=(left, top, right, bottom))
    pixels = np.asarray(scaled)
    return pixels[:, ::-1] if request.mirror[row] else pixels


def picture(request: Request, row: int, config: DataConfig) -> Image.Image:
    """Decode one file to what it shows, in colour; ValueError: its size has changed."""
    height, width = request.sizes[row].tolist()
    with opened(request.files[row], FORMATS) as image:
        if (found := shown_size(image, config)) != (width, height):
            raise ValueError(f"{found[0]}x{found[1]} pixels, {width}x{height} at the start")
        return shown(image, "RGB", config)


def _finished(
    request: Request,
    work: list[Future[Pixels]],
    *,
    mean: Sequence[float],
    std: Sequence[float],
) -> tuple[Tensor, Tensor]:
    """Wait for the images of a batch and put them together."""
    images = torch.from_numpy(np.stack([done.result() for done in work])).permute(0, 3, 1, 2)
    if request.factors is None:
        return normalise(images, mean=mean, std=std), request.labels
    factors = torch.from_numpy(request.factors)
    return jittered(images, factors, mean=mean, std=std), request.labels
