"""How fast streamed images reach a GPU, by what decodes them: for benchmarks/gpu.py."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_stages import Row, Size, timed
from PIL import Image

from stnas.config import Config, DataConfig
from stnas.config.settling import dali_is_installed
from stnas.data import Dataset, open_streamed
from stnas.data.epochs import training_batches

CLASSES = ("a", "b")


def write_photographs(folder: Path, *, count: int, side: int) -> None:
    """Write smooth JPEG images of two classes, to train on and a few to test with."""
    rng = np.random.default_rng(0)
    for part, many in (("train", count), ("val", 2)):
        for name in CLASSES:
            (folder / part / name).mkdir(parents=True)
            for i in range(many // len(CLASSES)):
                coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
                image = coarse.resize((side, side * 3 // 4), Image.Resampling.BICUBIC)
                image.save(folder / part / name / f"{i}.jpg", quality=90)


def decoders(size: Size) -> Iterator[dict[str, Any]]:
    """Yield what can decode: Pillow, DALI on the processor and, where GPUs are real, on the GPU."""
    yield {"backend": "pillow"}
    if dali_is_installed():
        yield {"backend": "dali", "decoder": "cpu"}
        if size.compiled:
            yield {"backend": "dali", "decoder": "mixed"}


def streamed(size: Size, where: torch.device, folder: Path) -> Iterator[Row]:
    """Time a pass over a folder: its batches decoded, cut, and brought to the GPU."""
    write_photographs(folder, count=size.photographs, side=size.photograph)
    for options in decoders(size):
        data = DataConfig(path=str(folder), image_size=size.image_size, validation=0.1, **options)
        config = Config(data=data)
        dataset = open_streamed(data, seed=0, known=None, say=lambda _: None)[0].on(where)
        batch = min(size.batches[0], len(dataset.train))
        through = partial(consumed, config, dataset, batch)
        images = through()
        seconds = timed(through)
        yield {
            "case": f"images streamed by {' '.join(options.values())}", "batch": batch,
            "ms": f"{seconds * 1e3:.3f}", "images_per_second": f"{images / seconds:.0f}",
        }  # fmt: skip


def consumed(config: Config, dataset: Dataset, batch: int) -> int:
    """Go through an epoch of a folder; return how many images came."""
    config = replace(config, data=dataset.train.config)  # type: ignore[union-attr]
    return sum(
        len(images)
        for images, _ in training_batches(
            dataset, dataset.train, config=config, purpose="", seed=0, epoch=0, size=batch
        )
    )
