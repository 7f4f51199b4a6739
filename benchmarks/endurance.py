"""Measure whether memory grows over long work, and what a saved state costs.

    OMP_NUM_THREADS=1 python benchmarks/endurance.py

Memory: the resident set of one process that makes 1,000 training steps and then scores 200
candidates, five at a time; the slope of a straight line through the second half, where caches are
warm, with its 95 % interval over blocks. State: bytes and the median milliseconds of a save of the
hyper-network of a profile, synced to the disk.
"""

import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import machine, save

from stnas.config import Config, DataConfig, SearchConfig, SpaceConfig, TrainConfig
from stnas.engine.images import evaluation_batches
from stnas.engine.materials import Materials, build_supernet, prepare
from stnas.engine.scoring import Scorer, recalibration_images
from stnas.engine.shared_weights import epoch_steps_
from stnas.engine.states import Saver
from stnas.space import SearchSpace
from stnas.supernet import SuperNet
from stnas.train.stage import schedule

STEPS, CANDIDATES, BLOCKS = 1000, 200, 10


def resident() -> float:
    """Return the resident memory of this process in KiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


def slope(at: list[int], memory: list[float]) -> tuple[float, float]:
    """Return the slope over the second half, in KiB a unit, and half its 95 % interval.

    The interval comes from the rises of equal blocks (Student's t with BLOCKS - 1 degrees).
    """
    half = len(at) // 2
    x, y = np.array(at[half:], dtype=float), np.array(memory[half:])
    ends = np.linspace(0, len(x) - 1, BLOCKS + 1).round().astype(int)
    rises = np.diff(y[ends]) / np.diff(x[ends])
    return float(np.polyfit(x, y, 1)[0]), float(2.262 * rises.std(ddof=1) / BLOCKS**0.5)


def memory_row(name: str, at: list[int], memory: list[float]) -> dict[str, Any]:
    """Make a row of the table."""
    rise, spread = slope(at, memory)
    return {
        "what": name,
        "units": at[-1],
        "start_MiB": f"{memory[0] / 1024:.1f}",
        "half_MiB": f"{memory[len(memory) // 2] / 1024:.1f}",
        "end_MiB": f"{memory[-1] / 1024:.1f}",
        "KiB_per_unit": f"{rise:.3f}",
        "interval": f"{spread:.3f}",
    }


def training(config: Config, materials: Materials, supernet: SuperNet) -> dict[str, Any]:
    """Follow the memory over training steps."""
    at, memory, epoch = [], [], 0
    step = schedule(config, len(materials.dataset.train))
    while not at or at[-1] < STEPS:
        for _ in epoch_steps_(supernet, materials, config=config, epoch=epoch, step=step):
            at.append(len(at) + 1)
            memory.append(resident())
        epoch += 1
    return memory_row("training steps", at[:STEPS], memory[:STEPS])


def search(config: Config, materials: Materials, supernet: SuperNet) -> dict[str, Any]:
    """Follow the memory over scored candidates."""
    data = evaluation_batches(materials.dataset, materials.dataset.validation, size=256)
    score = Scorer([supernet], recalibration_images(config, materials), data)
    genotypes = materials.space.sample(CANDIDATES, p_drop=0.6, seed=1)
    at, memory = [], []
    for start in range(0, CANDIDATES, 5):
        score(genotypes[start : start + 5])
        gc.collect()
        at.append(start + 5)
        memory.append(resident())
    return memory_row("scored candidates", at, memory)


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
        train=TrainConfig(epochs=20, batch_size=64),
        search=SearchConfig(recalibration_images=512),
    )
    materials = prepare(config)
    supernet = build_supernet(config, materials.space)
    rows = [training(config, materials, supernet), search(config, materials, supernet)]
    rows += [saving(profile) for profile in ("nano", "micro", "parity", "imagenet")]
    for row in rows:
        print(row, flush=True)
    save("endurance", rows, machine())


if __name__ == "__main__":
    main()
