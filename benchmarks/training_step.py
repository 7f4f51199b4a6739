"""Time a training step of the hyper-network, and the score of a candidate, ours beside PyTorch's.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/training_step.py [--threads 2] [--compile]

A step is everything: augmentation, forward, backward, and the update of the activated tensors. A
candidate is cut out, recalibrated and evaluated. The forms take turns on the same sampled paths;
the figures are medians over paths. With ``--compile`` torch.compile runs the first path, its
compile time is listed beside: every path is another graph. Writes
``benchmarks/results/training_step.csv``, or the table that ``--table`` names.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from record import machine, save
from torch import Tensor, nn
from torch.nn import functional

from stnas.config import DataConfig
from stnas.data import Split, train_batch
from stnas.learn.evaluation import evaluate, recalibrate_
from stnas.learn.single_path import train_step_
from stnas.space import SearchSpace
from stnas.supernet import SuperNet

PROFILES = {"micro": 32, "parity": 32}
PATHS = 9
Genotype = np.ndarray


@dataclass(frozen=True)
class Form:
    """One way of computing: the hyper-network, and the layout of its images."""

    supernet: SuperNet
    layout: torch.memory_format


def forms(space: SearchSpace) -> dict[str, Form]:
    """Make the same hyper-network in every form."""
    found = {}
    for name, kernels, layout in (
        ("stnas", "fused", torch.channels_last),
        ("eager NHWC", "reference", torch.channels_last),
        ("eager NCHW", "reference", torch.contiguous_format),
    ):
        torch.manual_seed(0)
        supernet = SuperNet(space, kernels=kernels)
        for parameter in supernet.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.to(memory_format=layout)
        found[name] = Form(supernet, layout)
    return found


def split(space: SearchSpace, count: int) -> Split:
    """Make random images of the space's size."""
    head, rng = space.head, torch.Generator().manual_seed(0)
    shape = (count, head.in_channels, head.image_size, head.image_size)
    images = torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8)
    return Split(images, torch.arange(count) % head.num_classes)


def batch(data: Split, layout: torch.memory_format) -> tuple[Tensor, Tensor]:
    """Augment and normalise all images of a split."""
    channels = data.images.shape[1]
    images, labels = train_batch(
        data,
        torch.arange(len(data)),
        mean=(0.5,) * channels,
        std=(0.3,) * channels,
        config=DataConfig(),
        generator=torch.Generator().manual_seed(0),
    )
    return images.contiguous(memory_format=layout), labels


def step(form: Form, data: Split, genotype: Genotype) -> None:
    """Train one path for one step."""
    images, labels = batch(data, form.layout)
    train_step_(
        form.supernet,
        genotype,
        images,
        labels,
        lr=1e-3,
        seed=0,
        step=0,
        weight_decay=1e-4,
        mode="none",
    )


def candidate(form: Form, data: Split, genotype: Genotype) -> None:
    """Score a candidate: recalibrate on four batches and evaluate on four."""
    images, labels = batch(data, form.layout)
    network = form.supernet.extract(genotype)
    recalibrate_(network, [images] * 4)
    evaluate(network, [(images, labels)] * 4)


def seconds(run: Callable[[], object]) -> float:
    """Time one call."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def compiled_step(form: Form, data: Split, genotype: Genotype) -> tuple[float, float]:
    """Return the seconds of a compiled step and of compiling it."""
    network: nn.Module = form.supernet.extract(genotype).train()
    fast = torch.compile(network)

    def once() -> None:
        images, labels = batch(data, form.layout)
        functional.cross_entropy(fast(images), labels).backward()
        for parameter in network.parameters():
            parameter.data.add_(parameter.grad, alpha=-1e-3)
            parameter.grad = None

    first = seconds(once)
    return statistics.median(seconds(once) for _ in range(PATHS)), first


def measure(profile: str, size: int, *, compiled: bool) -> list[dict[str, object]]:
    """Measure both tasks of one profile at batch 128."""
    space = SearchSpace.profile(profile, image_size=size)
    data = split(space, 128)
    genotypes = space.sample(PATHS + 1, p_drop=0.6, seed=1)
    ways = forms(space)
    rows: list[dict[str, object]] = []
    for task, work, images in (("step", step, 128), ("candidate", candidate, 1024)):
        times: dict[str, list[float]] = {name: [] for name in ways}
        for genotype in genotypes:
            for name, form in ways.items():
                times[name].append(seconds(partial(work, form, data, genotype)))
        medians = {name: statistics.median(found[1:]) for name, found in times.items()}
        if task == "step" and compiled:
            medians["compile, first path"], first = compiled_step(
                ways["eager NHWC"], data, genotypes[0]
            )
            medians["compile, compiling it"] = first
            medians["stnas, first path"] = statistics.median(
                seconds(lambda: step(ways["stnas"], data, genotypes[0])) for _ in range(PATHS)
            )
        rows += [
            {
                "profile": profile,
                "task": task,
                "form": name,
                "milliseconds": round(1000 * value, 2),
                "images_per_second": round(images / value),
                "times_ours": round(value / medians["stnas"], 2),
            }
            for name, value in medians.items()
        ]
    return rows


def main() -> None:
    """Print and save the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--table", default="training_step", metavar="NAME")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for profile, size in PROFILES.items():
        for row in measure(profile, size, compiled=options.compile):
            rows.append(row)
            print(*row.values(), sep="\t", flush=True)
    save(options.table, rows, machine())


if __name__ == "__main__":
    main()
