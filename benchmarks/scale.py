"""Measure a training step of the hyper-network in 1, 2, ... processes: seconds, and bytes reduced.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/scale.py [--processes 1 2]

The global batch and its parts are the same for every number of processes, which have one thread
each; torchrun starts them. A step is forward, backward, reduction and update on one of a few
sampled paths, of which the figures are medians. The reduction's seconds hold the wait for the
slowest process. The last row counts the bytes of 1,000 paths of `imagenet`, which the predictions
in ``docs/scale.md`` start from. Writes ``benchmarks/results/scale.csv``.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial

import torch
from record import machine, save
from torch import Tensor

from stnas.config import TrainConfig
from stnas.group.processes import ProcessGroup, current
from stnas.group.torchrun import joined
from stnas.learn import gradients
from stnas.learn.gradients import own_parts
from stnas.learn.single_path import train_step_
from stnas.space import SearchSpace
from stnas.supernet import SuperNet

CASES = {"micro": 128, "parity": 32, "imagenet": 8}
"""Images of a batch, by profile."""
PATHS = 7


@dataclass
class Meter:
    """What the reductions of a step took."""

    seconds: float = 0.0
    bytes: int = 0

    def sum_(self, group: ProcessGroup, flat: Tensor) -> None:
        """Reduce, and add up time and size."""
        begin = time.perf_counter()
        group.sum_(flat)
        self.seconds += time.perf_counter() - begin
        self.bytes += flat.nbytes


class Metered(ProcessGroup):
    """This process's group, whose reductions a meter reads."""

    def __init__(self, group: ProcessGroup, meter: Meter) -> None:
        super().__init__(group.rank, group.size, store=group.store, timeout=group.timeout)
        self.meter, self.group = meter, group

    def sum_(self, flat: Tensor) -> None:
        """Reduce under the meter."""
        self.meter.sum_(self.group, flat)


def steps(profile: str, parts: int) -> list[tuple[float, float, int]]:
    """Return (seconds, seconds of the reduction, bytes reduced) of each path's step."""
    space = SearchSpace.profile(profile)
    torch.manual_seed(0)
    supernet = SuperNet(space).train()
    head = space.head
    share = own_parts("train", TrainConfig(batch_size=2 * parts, micro_batches=parts))
    count = CASES[profile] // current().size
    images = torch.randn(count, head.in_channels, head.image_size, head.image_size)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(count) % head.num_classes
    parameters = list(supernet.parameters())
    found = []
    for step, genotype in enumerate(space.sample(PATHS + 1, p_drop=0.6, seed=1)):
        meter = Meter()
        gradients.current = partial(Metered, current(), meter)
        current().gather(None)
        begin = time.perf_counter()
        options = {"weight_decay": 1e-4, "mode": "none", "seed": 0, "step": step, "lr": 1e-3}
        train_step_(
            supernet, genotype, images, labels, parameters=parameters, parts=share, **options
        )
        found.append((time.perf_counter() - begin, meter.seconds, meter.bytes))
        gradients.current = current
    return found[1:]


def work(profile: str, parts: int) -> None:
    """Measure in this process of a group; the leader prints the figures."""
    torch.set_num_threads(1)
    with joined(600) as group:
        found = steps(profile, parts)
        if group.rank == 0:
            print("steps", json.dumps(found), flush=True)


def measured(profile: str, processes: int, parts: int) -> dict[str, object]:
    """Start processes, and return their row."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    own = [__file__, "--work", profile, "--parts", str(parts)]
    done = subprocess.run(
        [*launcher, f"--nproc-per-node={processes}", *own],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("steps "))
    seconds, reducing, sizes = zip(*json.loads(line.removeprefix("steps ")), strict=True)
    return {
        "profile": profile,
        "processes": processes,
        "batch": CASES[profile],
        "parts": parts,
        "milliseconds": round(1000 * statistics.median(seconds), 2),
        "reduction_milliseconds": round(1000 * statistics.median(reducing), 2),
        "bytes_reduced": round(statistics.mean(sizes)),
        "images_per_second": round(CASES[profile] / statistics.median(seconds), 1),
    }


def mean_bytes() -> float:
    """Return the mean bytes of the active tensors of 1,000 sampled paths of `imagenet`."""
    space = SearchSpace.profile("imagenet")
    supernet = SuperNet(space)
    always = sum(p.numel() for m in (supernet.stem, supernet.tail) for p in m.parameters())
    total = 0
    for genotype in space.sample(1000, p_drop=0.6, seed=2):
        arcs = space.arcs_of(genotype)
        blocks = [supernet.block(arc.part) for arc in arcs if arc.part is not None]
        total += always + sum(p.numel() for block in blocks for p in block.parameters())
    return 4 * total / 1000


def main() -> None:
    """Print and save the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--work", choices=CASES)
    parser.add_argument("--parts", type=int, default=1)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.parts)
        return
    rows = []
    for profile in CASES:
        for processes in options.processes:
            rows.append(measured(profile, processes, max(options.processes)))
            print(*rows[-1].values(), sep="\t", flush=True)
    rows.append({"profile": "imagenet, 1,000 paths", "bytes_reduced": round(mean_bytes())})
    save("scale", rows, {**machine(), "threads": 1})


if __name__ == "__main__":
    main()
