"""Decode image files with NVIDIA DALI, and find those that it cannot decode."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from nvidia import dali
from nvidia.dali import fn, types
from nvidia.dali.plugin.pytorch import feed_ndarray

from stnas.config.data import DataConfig

_TRIAL_PIXELS = 2**25
_TRIAL_FILES = 256


def decoded(paths: Any, config: DataConfig) -> tuple[Any, Any]:
    """Read and decode the files, whose orientation tags are left alone."""
    encoded = fn.io.file.read(paths)
    return encoded, fn.decoders.image(
        encoded, device=config.decoder, output_type=types.RGB, adjust_orientation=False
    )


def encoded_path(file: Path | str) -> NDArray[np.uint8]:
    """Return a path as DALI takes it."""
    return np.frombuffer(os.fsencode(file), dtype=np.uint8)


def lies_on(config: DataConfig) -> torch.device:
    """Return where torch finds the decoded images: the current GPU where one decodes them."""
    if config.decoder == "mixed" and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def taken(images: Any, device: torch.device) -> torch.Tensor:
    """Return a batch of DALI's ``[B, S, S, 3]`` as a tensor of its own on a device.

    What lies on a GPU stays there; it is copied on torch's stream, which waits for DALI's.
    """
    if device.type == "cpu":
        return torch.from_numpy(images.as_cpu().as_array())
    dense = images.as_tensor()
    own = torch.empty(dense.shape(), device=device)
    stream = torch.get_device_module(device).current_stream(device)
    feed_ndarray(dense, own, cuda_stream=stream)
    return own


def new_pipeline(size: int, *, ahead: int, config: DataConfig) -> dali.Pipeline:
    """Make an empty pipeline for batches of up to ``size`` images."""
    gpu = config.decoder == "mixed"
    return dali.Pipeline(
        batch_size=size,
        num_threads=config.workers or os.cpu_count(),
        device_id=(lies_on(config).index or 0) if gpu else None,
        prefetch_queue_depth=ahead,
    )


def build(pipeline: Any, config: DataConfig) -> None:
    """Make a pipeline ready to run; ValueError: the machine lacks what its decoder needs."""
    try:
        pipeline.build()
    except RuntimeError as error:
        raise ValueError(
            f"data.decoder {config.decoder} could not be set up ({str(error).splitlines()[0]}): "
            "mixed needs an NVIDIA GPU and its driver; set --data.decoder cpu"
        ) from error


def undecodable(
    files: Sequence[Path], sizes: NDArray[np.int64], *, config: DataConfig
) -> list[int]:
    """Return the places of the files that DALI does not decode to (height, width) ``sizes``."""
    places: list[int] = []
    pixels = np.cumsum(sizes.prod(axis=1))
    parts = pixels // _TRIAL_PIXELS + np.arange(len(files)) // _TRIAL_FILES
    for part in np.unique(parts):
        rows = np.flatnonzero(parts == part)
        places += _halved(rows, files, sizes, config)
    return places


def _halved(
    rows: NDArray[np.int64], files: Sequence[Path], sizes: NDArray[np.int64], config: DataConfig
) -> list[int]:
    """Decode some files together, and where that fails each half of them."""
    try:
        shapes = _shapes([files[row] for row in rows], config)
    except RuntimeError:
        if len(rows) == 1:
            return [int(rows[0])]
        half = len(rows) // 2
        return [
            row for own in (rows[:half], rows[half:]) for row in _halved(own, files, sizes, config)
        ]
    return [int(row) for row in rows[(shapes != sizes[rows]).any(axis=1)]]


def _shapes(files: Sequence[Path], config: DataConfig) -> NDArray[np.int64]:
    """Decode files and return (height, width) of each ``[n, 2]``; RuntimeError: one fails."""
    pipeline = new_pipeline(len(files), ahead=1, config=config)
    paths = [encoded_path(file) for file in files]
    with pipeline:
        _, images = decoded(fn.external_source(lambda: paths, batch=True), config)
        pipeline.set_outputs(images.shape()[:2])
    build(pipeline, config)
    (shapes,) = pipeline.run()
    found: NDArray[np.int64] = shapes.as_array()
    return found
