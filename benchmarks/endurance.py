"""Measure whether memory grows over long work, and what a saved state costs.

    OMP_NUM_THREADS=1 python benchmarks/endurance.py

Memory: of one process that makes 4,000 training steps and then scores 600 candidates, five at a
time; the slope of a straight line through the second half, where caches are warm, with its 95 %
interval over blocks. The resident set holds what the allocator keeps for later, too; in use is what
glibc's allocator has given out and not got back (tensors, C++ objects and large Python ones); small
Python objects are counted.
State: bytes and the median milliseconds of a save of the hyper-network of a profile, synced to the
disk.
"""

import ctypes
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from record import machine, save

from stnas.config import Config, DataConfig, SearchConfig, SpaceConfig, TrainConfig
from stnas.data.epochs import evaluation_batches
from stnas.learn.scoring import Scorer, recalibration_images
from stnas.learn.single_path import SinglePath
from stnas.learn.supernet_epoch import epoch_steps_
from stnas.learn.task import Task, build_supernet, prepare
from stnas.space import SearchSpace
from stnas.store.checkpoint import Saver
from stnas.supernet import SuperNet
from stnas.train.stage import falling_schedule

STEPS, CANDIDATES, TOGETHER, BLOCKS = 4000, 600, 5, 10


class Allocator(ctypes.Structure):
    """What glibc tells of its allocator (mallinfo2)."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd",
            "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    )  # fmt: skip


LIBRARY = ctypes.CDLL(None)
LIBRARY.mallinfo2.restype = Allocator


def usage() -> dict[str, float]:
    """Return the memory of this process by each measure."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    allocator = LIBRARY.mallinfo2()
    return {
        "resident, KiB": pages * os.sysconf("SC_PAGE_SIZE") / 1024,
        "in use, KiB": (allocator.uordblks + allocator.hblkhd) / 1024,
        "small Python objects": sys.getallocatedblocks(),
    }


def slope(at: NDArray[np.float64], memory: NDArray[np.float64]) -> tuple[float, float]:
    """Return the slope over the second half and half its 95 % interval.

    The interval comes from the rises of equal blocks (Student's t with BLOCKS - 1 degrees).
    """
    half = len(at) // 2
    x, y = at[half:], memory[half:]
    ends = np.linspace(0, len(x) - 1, BLOCKS + 1).round().astype(int)
    rises = np.diff(y[ends]) / np.diff(x[ends])
    return float(np.polyfit(x, y, 1)[0]), float(2.262 * rises.std(ddof=1) / BLOCKS**0.5)


class Followed:
    """The memory of a process from unit to unit of its work, in arrays that do not grow."""

    def __init__(self, name: str, count: int) -> None:
        self.name, self.length = name, 0
        self.at = np.zeros(count)
        self.memory = {measure: np.zeros(count) for measure in usage()}

    def add_(self, unit: int) -> None:
        """Measure after a unit."""
        self.at[self.length] = unit
        for measure, value in usage().items():
            self.memory[measure][self.length] = value
        self.length += 1

    def rows(self) -> list[dict[str, Any]]:
        """Make rows of the table, one for each measure."""
        return [self._row(measure, values) for measure, values in self.memory.items()]

    def _row(self, measure: str, values: NDArray[np.float64]) -> dict[str, Any]:
        rise, spread = slope(self.at, values)
        return {
            "what": self.name,
            "measure": measure,
            "units": int(self.at[-1]),
            "start": round(values[0]),
            "half": round(values[len(values) // 2]),
            "end": round(values[-1]),
            "per_unit": f"{rise:.4f}",
            "interval": f"{spread:.4f}",
        }


def training(config: Config, task: Task, supernet: SuperNet) -> list[dict[str, Any]]:
    """Follow the memory over training steps."""
    followed, done = Followed("training steps", STEPS), 0
    schedule = falling_schedule(config, len(task.dataset.train))
    strategy = SinglePath(supernet, task, config=config, schedule=schedule)
    for epoch in range(config.train.epochs):
        for _ in epoch_steps_(strategy, task, config=config, epoch=epoch):
            done += 1
            if done <= STEPS:
                followed.add_(done)
    return followed.rows()


def search(config: Config, task: Task, supernet: SuperNet) -> list[dict[str, Any]]:
    """Follow the memory over scored candidates."""
    data = evaluation_batches(task.dataset, task.dataset.validation, size=256)
    score = Scorer([supernet], recalibration_images(config, task), data)
    genotypes = task.space.sample(CANDIDATES, p_drop=0.6, seed=1)
    followed = Followed("scored candidates", CANDIDATES // TOGETHER)
    for start in range(0, CANDIDATES, TOGETHER):
        score(genotypes[start : start + TOGETHER])
        followed.add_(start + TOGETHER)
    return followed.rows()


def saving(profile: str) -> dict[str, Any]:
    """Time the saving of a hyper-network's state."""
    supernet = SuperNet(SearchSpace.profile(profile))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        saver = Saver(path, every=0.0, origin="", tensors=supernet.state_dict)
        times = [timed(saver.save) for _ in range(11)]
        size = path.stat().st_size
    return {
        "what": f"state of the profile {profile}",
        "bytes": size,
        "save_ms": f"{1e3 * statistics.median(times):.1f}",
    }


def timed(call: Callable[[], None]) -> float:
    """Return the seconds of a call."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def main() -> None:
    """Print and save the table."""
    torch.set_num_threads(1)
    config = Config(
        data=DataConfig(path="embedded"),
        space=SpaceConfig(profile="nano"),
        train=TrainConfig(epochs=24, batch_size=64),
        search=SearchConfig(recalibration_images=512),
    )
    task = prepare(config)
    supernet = build_supernet(config, task.space)
    rows = training(config, task, supernet) + search(config, task, supernet)
    rows += [saving(profile) for profile in ("nano", "micro", "parity", "imagenet")]
    for row in rows:
        print(row, flush=True)
    save("endurance", rows, machine())


if __name__ == "__main__":
    main()
