"""Time the streaming of a folder of JPEG images with DALI and with Pillow.

    python benchmarks/image_folder.py [FOLDER]

Without FOLDER one is written by `scripts/make_jpeg_folder.py` (300 to 500 pixels a side). Images a
second from the file on the disk, which the scan has brought into memory, to the normalised float32
batch at 224 pixels, and CPU milliseconds an image over all threads: medians of rounds that take
the cases in turn, each a pass over all training images.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from record import machine, save

from stnas.config import DataConfig
from stnas.data import FileSplit, batches, evaluation_requests, load, training_requests
from stnas.data.requests import Request

SIZE = 64
ROUNDS = 3
WORKERS = (1, 2)
WORK = ("evaluation", "training", "training, jitter 0.4")


def requests(work: str, split: FileSplit) -> Iterator[Request]:
    """Ask for one pass."""
    if work == "evaluation":
        return evaluation_requests(split, size=SIZE)
    return training_requests(split, order_seed=0, augment_seed=0, epoch=0, size=SIZE)


def measure(work: str, split: FileSplit) -> tuple[float, float]:
    """Return the images a second and the CPU milliseconds an image of one pass."""
    wall, cpu = time.perf_counter(), time.process_time()
    numbers = {"mean": (0.5,) * 3, "std": (0.25,) * 3}
    count = sum(len(labels) for _, labels in batches(split, requests(work, split), **numbers))
    assert count == len(split)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return count / wall, 1e3 * cpu / count


def splits(folder: Path) -> dict[tuple[str, str, int], FileSplit]:
    """Open the folder for each case (backend, work, workers)."""
    found = {}
    for backend in ("dali", "pillow"):
        for work in WORK:
            jitter = 0.4 if work.endswith("0.4") else 0.0
            config = DataConfig(str(folder), backend=backend, image_size=224, jitter=jitter)
            split = load(config, seed=0).train
            assert isinstance(split, FileSplit)
            for workers in WORKERS:
                own = replace(split.config, workers=workers)
                found[backend, work, workers] = replace(split, config=own)
    return found


def run(folder: Path) -> None:
    """Print and save the table."""
    cases = splits(folder)
    for (_, work, _), split in cases.items():
        measure(work, split.take(torch.arange(SIZE)))
    rounds = [
        {case: measure(case[1], split) for case, split in cases.items()} for _ in range(ROUNDS)
    ]
    rows = []
    for backend, work, workers in cases:
        pairs = [each[backend, work, workers] for each in rounds]
        speed, cost = (statistics.median(column) for column in zip(*pairs, strict=True))
        rows.append(
            {
                "work": work,
                "threads": workers,
                "backend": backend,
                "images_per_second": round(speed),
                "cpu_ms_per_image": round(cost, 2),
            }
        )
    rows.sort(key=lambda row: (row["work"], row["threads"], row["backend"]))
    for row in rows:
        print("  ".join(f"{value!s:<22}" for value in row.values()))
    split = next(iter(cases.values()))
    size = sum(file.stat().st_size for file in split.files) / len(split)
    about = machine("nvidia-dali-cuda130", "pillow", "numpy")
    save("image_folder", rows, {**about, "images": len(split), "bytes_per_image": round(size)})


def main() -> None:
    """Measure on the folder of the command line, or on one that is made for it."""
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        run(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as place:
        script = Path(__file__).parents[1] / "scripts" / "make_jpeg_folder.py"
        subprocess.run([sys.executable, script, place, "--train", "72"], check=True)
        run(Path(place))


if __name__ == "__main__":
    main()
