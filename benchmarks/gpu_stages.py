"""What benchmarks/gpu.py measures besides kernels: steps of every stage, images, a small run."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from block_shapes import Case as Shape
from predictions import BLOCK

from stnas.config import DataConfig
from stnas.data import Split, train_batch
from stnas.group import device as devices
from stnas.learn.scoring import Scorer
from stnas.learn.single_path import train_step_
from stnas.space import SearchSpace
from stnas.supernet import SuperNet

Row = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How much is measured.

    block, sgld, rows, norm: shapes of the kernels' cases. profile, image_size, batches: of the
    steps. paths: networks drawn. rounds: repetitions of a kernel. quickstart: options of the run.
    compiled: whether torch.compile is timed beside.
    """

    block: Shape
    sgld: tuple[int, ...]
    rows: int
    norm: tuple[int, int, int]
    profile: str
    image_size: int
    batches: tuple[int, ...]
    paths: int
    rounds: int
    quickstart: tuple[str, ...]
    compiled: bool


SHORT = (
    "--data.train_limit", "2000", "--data.test_limit", "500", "--train.epochs", "4",
    "--sgld.samples", "2", "--search.population", "8", "--search.generations", "4",
    "--verdict.candidates", "0", "--retrain.epochs", "2",
)  # fmt: skip
WHOLE = Size(
    BLOCK, (1 << 22, 1 << 25), 100_000, (128, 16, 112), "imagenet", 224, (64, 128, 256, 512),
    paths=9, rounds=50, quickstart=SHORT, compiled=True,
)  # fmt: skip
TOY = Size(
    Shape(2, 8, 8, 3, 4, 1, 6), (100,), 9, (2, 5, 4), "nano", 8, (2, 4), paths=1, rounds=1,
    quickstart=(), compiled=False,
)  # fmt: skip


def synchronise() -> None:
    """Wait for the GPU."""
    devices.backend().synchronize()


def timed(work: Callable[[], object]) -> float:
    """Return the seconds of work that the GPU has finished."""
    synchronise()
    begin = time.perf_counter()
    work()
    synchronise()
    return time.perf_counter() - begin


def peak() -> str:
    """Return the MiB that were taken at most since the last call."""
    backend = devices.backend()
    found = backend.max_memory_allocated() / 2**20
    backend.reset_peak_memory_stats()
    return f"{found:.0f}"


def images_of(space: SearchSpace, count: int, where: torch.device) -> Split:
    """Make random images of a space's size on a device."""
    head, rng = space.head, torch.Generator().manual_seed(0)
    shape = (count, head.in_channels, head.image_size, head.image_size)
    images = torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8)
    return Split(images, torch.arange(count) % head.num_classes).on(where)


def batch_of(data: Split) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut, mirror and normalise all images of a split."""
    channels = data.images.shape[1]
    numbers: dict[str, Any] = {"mean": (0.5,) * channels, "std": (0.3,) * channels}
    rows, draw = torch.arange(len(data)), torch.Generator().manual_seed(0)
    return train_batch(data, rows, config=DataConfig(), generator=draw, **numbers)


def steps(size: Size, where: torch.device) -> Iterator[Row]:
    """Time a training step, the scores of candidates and a batch of images, by batch size."""
    space = SearchSpace.profile(size.profile, image_size=size.image_size)
    genotypes = space.sample(size.paths, p_drop=0.6, seed=1)
    supernet = SuperNet(space).to(where).train()
    for batch in size.batches:
        data = images_of(space, batch, where)
        for precision in ("float32", "bfloat16"):
            yield about(
                f"step/{size.profile} {precision}", batch,
                lambda p=precision, d=data: [
                    train_step_(
                        supernet, own, *batch_of(d), lr=1e-3, seed=0, step=0, precision=p,
                        weight_decay=1e-4, mode="none",
                    )
                    for own in genotypes
                ],
                images=batch * size.paths,
            )  # fmt: skip
        images, labels = batch_of(data)
        yield about(
            f"score/{size.profile}", batch,
            lambda i=images, y=labels: Scorer([supernet], [i], [(i, y)])(genotypes),
            images=2 * batch * size.paths,
        )  # fmt: skip
        supernet.train()
        yield about("images in memory", batch, lambda d=data: batch_of(d), images=batch)


def about(name: str, batch: int, work: Callable[[], object], *, images: int) -> Row:
    """Do work once to warm up and once to time it; return a row of the table."""
    work()
    peak()
    seconds = timed(work)
    speed = f"{images / seconds:.0f}"
    row = {"case": name, "batch": batch, "ms": f"{seconds * 1e3:.3f}", "images_per_second": speed}
    return row | {"peak_mib": peak()}


def quickstart(size: Size, folder: Path) -> Iterator[Row]:
    """Run a short quickstart on both devices, and hold their fronts against each other."""
    fronts = {}
    for word in ("cpu", "cuda") if size.quickstart else ():
        run = folder / word
        command = [sys.executable, "-m", "stnas", "quickstart", "--run", str(run)]
        begin = time.perf_counter()
        subprocess.run([*command, "--device", word, *size.quickstart], check=True)
        seconds = time.perf_counter() - begin
        found = json.loads((run / "search/front.json").read_text())["front"]
        fronts[word] = {row["genotype"]: row["accuracy"] for row in found}
        both = fronts["cpu"].keys() & fronts[word].keys()
        yield {
            "case": f"quickstart on {word}", "ms": f"{seconds * 1e3:.0f}",
            "front": len(fronts[word]), "front_also_of_the_cpu": len(both),
        }  # fmt: skip
