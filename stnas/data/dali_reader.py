"""Read streamed images with NVIDIA DALI; imported only where it is the backend of a run.

DALI draws nothing at random here: windows, mirrorings and factors come with each request, so that
an epoch can be entered at any batch and no state of the pipeline needs to be kept.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import chain
from typing import Any

import numpy as np
from nvidia import dali
from nvidia.dali import fn, types
from nvidia.dali import math as dali_math
from PIL import Image
from torch import Tensor

from stnas.config.data import DataConfig
from stnas.data.dali_decoder import (
    build,
    decoded,
    encoded_path,
    lies_on,
    new_pipeline,
    taken,
    undecodable,
)
from stnas.data.pillow_reader import picture
from stnas.data.requests import AHEAD, Request

__all__ = ["name", "read", "undecodable"]


def name() -> str:
    """Name the decoder and its version."""
    return f"NVIDIA DALI {dali.__version__}"


def read(
    requests: Iterator[Request],
    *,
    config: DataConfig,
    mean: Sequence[float],
    std: Sequence[float],
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the normalised images and the labels of each request, in order.

    Images: float32 ``[B, 3, S, S]``, channels last, on the GPU where it
    decoded them; labels: int64 ``[B]``.
    """
    first = next(requests, None)
    if first is None:
        return
    feed = _Feed(chain([first], requests), config)
    pipeline = _pipeline(feed, first, config=config, mean=mean, std=std)
    build(pipeline, config)
    device = lies_on(config)
    try:
        while True:
            try:
                images, shapes = pipeline.run()
            except StopIteration:
                return
            request = feed.done()
            if not np.array_equal(shapes.as_array(), request.sizes):
                raise ValueError("images must keep the size that they had at the start")
            yield taken(images, device).permute(0, 3, 1, 2), request.labels
    finally:
        feed.close()


class _Feed:
    """Hand the requests to DALI as arrays, and keep those whose images are not there yet.

    A special file is decoded here, and handed over as plain pixels by a file in memory.
    """

    def __init__(self, requests: Iterator[Request], config: DataConfig) -> None:
        self.requests, self.config = requests, config
        self.waiting: deque[tuple[Request, list[int]]] = deque()
        self.pool = ThreadPoolExecutor(max_workers=config.workers or os.cpu_count())

    def __call__(self) -> list[Any]:
        """Return the paths, the windows' corners, the mirrorings and the factors of a batch."""
        request = next(self.requests, None)
        if request is None:
            raise StopIteration
        rows = np.flatnonzero(request.special).tolist()
        pictures = self.pool.map(lambda row: picture(request, row, self.config), rows)
        paths = [encoded_path(file) for file in request.files]
        handles: list[int] = []
        self.waiting.append((request, handles))
        for row, image in zip(rows, pictures, strict=True):
            handles.append(_in_memory(image))
            paths[row] = encoded_path(f"/proc/self/fd/{handles[-1]}")
        corners = [request.windows[:, :2].copy(), request.windows[:, 2:].copy()]
        factors = [] if request.factors is None else list(request.factors)
        return [paths, *corners, request.mirror, *factors]

    def done(self) -> Request:
        """Return the request whose images have come."""
        request, handles = self.waiting.popleft()
        for handle in handles:
            os.close(handle)
        return request

    def close(self) -> None:
        """Let go of the requests whose images nobody waits for."""
        self.pool.shutdown(cancel_futures=True)
        while self.waiting:
            self.done()


def _in_memory(image: Image.Image) -> int:
    """Write an image's plain pixels to a file in memory, and return its handle."""
    content = BytesIO()
    image.save(content, "PPM")
    handle = os.memfd_create("picture")
    with open(handle, "wb", closefd=False) as file:
        file.write(content.getbuffer())
    return handle


def _pipeline(
    feed: _Feed,
    first: Request,
    *,
    config: DataConfig,
    mean: Sequence[float],
    std: Sequence[float],
) -> Any:
    """Make the pipeline: decode, scale the window, jitter, mirror and normalise."""
    gpu = config.decoder == "mixed"
    # A rank's part of the last batch may be one larger.
    pipeline = new_pipeline(len(first.files) + 1, ahead=AHEAD, config=config)
    count = 4 if first.factors is None else 7
    with pipeline:
        paths, start, end, mirror, *factors = fn.external_source(
            source=feed, num_outputs=count, batch=True
        )
        images, shapes = _scaled(paths, start, end, config=config)
        if factors:
            images = _jittered(images, *(each.gpu() if gpu else each for each in factors))
        images = fn.crop_mirror_normalize(
            images,
            dtype=types.FLOAT,
            output_layout="HWC",
            mirror=mirror,
            mean=[255 * value for value in mean],
            std=[255 * value for value in std],
        )
        pipeline.set_outputs(images, shapes)
    return pipeline


def _scaled(paths: Any, start: Any, end: Any, *, config: DataConfig) -> tuple[Any, Any]:
    """Decode the files and scale their windows; return the images and the files' own sizes."""
    encoded, images = decoded(paths, config)
    shapes = fn.peek_image_shape(encoded, adjust_orientation=False)[:2]
    # Outside of its image a window would be read from foreign memory: the file may have changed
    # since its size was taken, which is found when the batch has come.
    start = dali_math.min(start, fn.cast(shapes - 1, dtype=types.FLOAT))
    end = dali_math.clamp(end, start + 1, fn.cast(shapes, dtype=types.FLOAT))
    images = fn.resize(
        images,
        size=(config.image_size, config.image_size),
        roi_start=start,
        roi_end=end,
        interp_type=types.INTERP_LINEAR,
        antialias=True,
    )
    return images, shapes


def _jittered(images: Any, bright: Any, contrast: Any, saturation: Any) -> Any:
    """Scale brightness, contrast (about the image's mean) and saturation (about its luma).

    It is what ``batches.jittered`` does, for pixels in [0, 255].
    """
    images = dali_math.clamp(images * bright, 0.0, 255.0)
    mean = fn.reductions.mean(images)
    images = dali_math.clamp(mean + (images - mean) * contrast, 0.0, 255.0)
    images = fn.saturation(images, saturation=saturation, dtype=types.FLOAT)
    return dali_math.clamp(images, 0.0, 255.0)
