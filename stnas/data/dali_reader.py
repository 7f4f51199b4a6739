"""Read streamed images with NVIDIA DALI; imported only where it is the backend of a run.

DALI draws nothing at random here: windows, mirrorings and factors come with each request, so that
an epoch can be entered at any batch and no state of the pipeline needs to be kept.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from nvidia import dali
from nvidia.dali import fn, types
from nvidia.dali import math as dali_math
from torch import Tensor

from stnas.config.data import DataConfig
from stnas.data.requests import AHEAD, Request


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

    Images: float32 ``[B, 3, S, S]``, channels last; labels: int64 ``[B]``.
    """
    first = next(requests, None)
    if first is None:
        return
    feed = _Feed(chain([first], requests))
    try:
        pipeline = _pipeline(feed, first, config=config, mean=mean, std=std)
        pipeline.build()
    except RuntimeError as error:
        raise ValueError(
            f"data.decoder {config.decoder} could not be set up ({str(error).splitlines()[0]}): "
            "mixed needs an NVIDIA GPU and its driver; set --data.decoder cpu"
        ) from error
    while True:
        try:
            images, shapes = pipeline.run()
        except StopIteration:
            return
        request = feed.waiting.popleft()
        if not np.array_equal(shapes.as_array(), request.sizes):
            raise ValueError("images must keep the size that they had at the start")
        yield torch.from_numpy(images.as_cpu().as_array()).permute(0, 3, 1, 2), request.labels


def _device() -> int:
    """Return the number of the GPU that this process uses."""
    return torch.cuda.current_device() if torch.cuda.is_available() else 0


class _Feed:
    """Hand the requests to DALI as arrays, and keep those whose images are not there yet."""

    def __init__(self, requests: Iterator[Request]) -> None:
        self.requests = requests
        self.waiting: deque[Request] = deque()

    def __call__(self) -> list[Any]:
        """Return the paths, the windows' corners, the mirrorings and the factors of a batch."""
        request = next(self.requests, None)
        if request is None:
            raise StopIteration
        self.waiting.append(request)
        paths = [np.frombuffer(os.fsencode(file), dtype=np.uint8) for file in request.files]
        corners = [request.windows[:, :2].copy(), request.windows[:, 2:].copy()]
        factors = [] if request.factors is None else list(request.factors)
        return [paths, *corners, request.mirror, *factors]


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
    pipeline = dali.Pipeline(
        batch_size=len(first.files) + 1,  # A rank's part of the last batch may be one larger.
        num_threads=config.workers or os.cpu_count(),
        device_id=_device() if gpu else None,
        prefetch_queue_depth=AHEAD,
    )
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
    encoded = fn.io.file.read(paths)
    images = fn.decoders.image(
        encoded,
        device=config.decoder,
        output_type=types.RGB,
        adjust_orientation=False,
    )
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
