"""What benchmarks/gpu.py measures besides kernels: steps of every stage, images, a small run."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from block_shapes import Case as Shape
from predictions import BLOCK, GPUS, training_step

from stnas.cli import main as stnas
from stnas.config import DataConfig, RetrainConfig
from stnas.data import Split, train_batch
from stnas.group import device as devices
from stnas.learn.gradients import Parts
from stnas.learn.network_step import NetworkStep
from stnas.learn.scoring import Scorer
from stnas.learn.single_path import train_step_
from stnas.learn.step_graph import WARM_UP
from stnas.space import Genotypes, SearchSpace
from stnas.supernet import Network, SuperNet

Row = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How much is measured.

    block, sgld, rows, norm: shapes of the kernels' cases. profile, image_size, batches: of the
    steps. paths: networks drawn. rounds: repetitions of a kernel. quickstart: options of the run.
    compiled: whether torch.compile is timed beside. tests: those of the kernels. photographs:
    JPEG images that are streamed, of so many pixels a side. bandwidth: bytes a second of a GPU that
    is in no list.
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
    tests: str
    photographs: int
    photograph: int
    bandwidth: float | None = None


SHORT = (
    "--data.train_limit", "2000", "--data.test_limit", "500", "--train.epochs", "4",
    "--sgld.samples", "2", "--search.population", "8", "--search.generations", "4",
    "--verdict.candidates", "0", "--retrain.epochs", "2",
)  # fmt: skip
SHORTEST = (
    "--space.stages", "[1,1]", "--space.widths", "[4,8]", "--space.tail_width", "8",
    "--space.stem_stride", "4", "--data.image_size", "8", "--data.train_limit", "60",
    "--data.test_limit", "20", "--train.epochs", "1", "--train.batch_size", "16",
    "--sgld.samples", "2", "--search.population", "2", "--search.generations", "2",
    "--search.random", "0", "--verdict.candidates", "0", "--retrain.epochs", "1",
    "--retrain.warmup_epochs", "0", "--retrain.batch_size", "16", "--retrain.random_twins", "0",
    "--retrain.baselines", "[]",
)  # fmt: skip
WHOLE = Size(
    BLOCK, (1 << 22, 1 << 25), 100_000, (128, 16, 112), "imagenet", 224, (64, 128, 256, 512),
    paths=9, rounds=50, quickstart=SHORT, compiled=True,
    tests="tests/cuda", photographs=4096, photograph=500,
)  # fmt: skip
TOY = Size(
    Shape(2, 8, 8, 3, 4, 1, 6), (100,), 9, (2, 5, 4), "nano", 8, (2, 4), paths=1, rounds=1,
    quickstart=SHORTEST, compiled=False, tests="tests/cuda/test_counting_kernel.py",
    photographs=20, photograph=24, bandwidth=1e12,
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
            ) | expected(space, genotypes, batch, precision)  # fmt: skip
        images, labels = batch_of(data)
        yield about(
            f"score/{size.profile}", batch,
            lambda i=images, y=labels: Scorer([supernet], [i], [(i, y)])(genotypes),
            images=2 * batch * size.paths,
        )  # fmt: skip
        supernet.train()
        yield about("images in memory", batch, lambda d=data: batch_of(d), images=batch)


def expected(space: SearchSpace, genotypes: Genotypes, batch: int, precision: str) -> Row:
    """Return how many kernels steps start, and what their blocks should take at least."""
    launches, seconds = training_step(space, genotypes, batch, precision)
    rows = zip(GPUS, seconds, strict=True)
    floors = {f"{gpu.name}_floor_ms": f"{1e3 * s * len(genotypes):.3g}" for gpu, s in rows}
    return {"launches": f"{launches * len(genotypes):.0f}"} | floors


def retraining(size: Size, where: torch.device) -> Iterator[Row]:
    """Time gradients of a network alone, launched one by one and as a CUDA graph; compare them.

    apart: norm of the difference over the norm, of the gradients of the last batch.
    """
    space = SearchSpace.profile(size.profile, image_size=size.image_size)
    genotype = space.sample(1, p_drop=0.6, seed=1)[0]
    for batch in size.batches:
        images, labels = batch_of(images_of(space, batch, where))
        found: list[torch.Tensor] = []
        for graph in (False, True):
            torch.manual_seed(0)
            network = Network.build(space, genotype).to(where).train()
            step = NetworkStep(
                network, RetrainConfig(cuda_graph=graph), parts=Parts(), weights=None,
                device=where, seed=0,
            )  # fmt: skip

            work = partial(once, network, step, images, labels)
            for _ in range(WARM_UP):
                work()
            name = f"retraining/{size.profile}{' as a CUDA graph' if graph else ''}"
            row = about(name, batch, work, images=batch)
            found.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
            yield row | {"apart": f"{apart(*found):.1e}" if graph else ""}


def once(network: Network, step: NetworkStep, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Find the gradients of a batch."""
    network.zero_grad()
    step.gradients_(images, labels, 0)


def apart(first: torch.Tensor, second: torch.Tensor) -> float:
    """Return the norm of a difference over the norm."""
    return float((first - second).norm() / first.norm())


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
    for word in ("cpu", "cuda"):
        run = folder / word
        begin = time.perf_counter()
        stnas(["quickstart", "--run", str(run), "--device", word, *size.quickstart])
        seconds = time.perf_counter() - begin
        found = json.loads((run / "search/front.json").read_text())["front"]
        fronts[word] = {row["genotype"]: row["accuracy"] for row in found}
        both = fronts["cpu"].keys() & fronts[word].keys()
        yield {
            "case": f"quickstart on {word}", "ms": f"{seconds * 1e3:.0f}",
            "front": len(fronts[word]), "front_also_of_the_cpu": len(both),
        }  # fmt: skip
