"""Read streamed images with Pillow, in threads, while the batch before is worked on."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL import __version__ as pillow_version
from torch import Tensor

from stnas.config.data import DataConfig
from stnas.data.batches import jittered
from stnas.data.requests import AHEAD, Request
from stnas.data.scan import FORMATS
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
    assert config.image_size is not None
    try:
        for request in requests:
            rows = range(len(request.files))
            waiting.append(
                (request, [pool.submit(cut, request, row, config.image_size) for row in rows])
            )
            if len(waiting) > AHEAD:
                yield _finished(*waiting.popleft(), mean=mean, std=std)
        while waiting:
            yield _finished(*waiting.popleft(), mean=mean, std=std)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def cut(request: Request, row: int, size: int) -> Pixels:
    """Decode one file and scale its window to uint8 ``[size, size, 3]``, mirrored if asked."""
    file, (height, width) = request.files[row], request.sizes[row].tolist()
    top, left, bottom, right = request.windows[row].tolist()
    pixels = scaled(file, (left, top, right, bottom), size=size, expected=(width, height))
    return pixels[:, ::-1] if request.mirror[row] else pixels


def scaled(
    file: Path,
    box: tuple[float, float, float, float],
    *,
    size: int,
    expected: tuple[int, int],
) -> Pixels:
    """Decode a file and scale a box (left, top, right, bottom), bilinear and antialiased."""
    with Image.open(file, formats=FORMATS) as opened:
        if opened.size != expected:
            raise ValueError(
                f"{opened.width}x{opened.height} pixels, {expected[0]}x{expected[1]} at the start"
            )
        image = opened.convert("RGB")
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box))


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
