"""Time scoring by the number of images a batch, in recalibration and in evaluation.

    OMP_NUM_THREADS=1 python benchmarks/batch_size.py

Random weights, the embedded images. CPU seconds of one thread for 1,024 images of each kind, the
best of three rounds that take the sizes in turn; 15 architectures that share their first genes with
others, as in the middle of a search.
"""

import time

import numpy as np
import torch
from record import machine, save

from stnas.config import Config, DataConfig, SearchConfig, SpaceConfig
from stnas.data.epochs import evaluation_batches, subset
from stnas.learn.scoring import calibrated_trie, recalibration_images
from stnas.learn.task import Task, build_supernet, prepare
from stnas.supernet import SuperNet

IMAGES = 1024
SIZES = (32, 64, 128, 256, 512, 1024)
ROUNDS = 3


def relatives(task: Task, count: int) -> np.ndarray:
    """Make architectures each of which has the first genes of one before it."""
    rng = np.random.default_rng(0)
    rows = list(task.space.sample(count, p_drop=task.p_drop, seed=0))
    for i in range(1, count):
        point = rng.integers(task.space.num_genes)
        rows[i][:point] = rows[rng.integers(i)][:point]
    return np.stack(rows)


def measure(profile: str, size: int) -> tuple[float, float]:
    """Return the CPU seconds of recalibration and of evaluation."""
    config = Config(
        run="unused",
        space=SpaceConfig(profile=profile, stem_stride=2),
        data=DataConfig(path="embedded"),
        search=SearchConfig(recalibration_images=IMAGES, recalibration_batch=size),
    )
    task = prepare(config)
    supernet: SuperNet = build_supernet(config, task.space)
    images = recalibration_images(config, task)
    held_out = subset(task.dataset.validation, torch.arange(IMAGES))
    data = evaluation_batches(task.dataset, held_out, size=size)
    genotypes = relatives(task, 15)
    start = time.process_time()
    trie = calibrated_trie(supernet, genotypes, images, tick=lambda: None)
    middle = time.process_time()
    for batch, _ in data:
        for _ in trie.logits(batch):
            pass
    return middle - start, time.process_time() - middle


def main() -> None:
    """Print and save the table."""
    torch.set_num_threads(1)
    print(f"{'profile':<10}{'batch':>6}{'recalibration':>15}{'evaluation':>12}")
    rows = []
    for profile in ("nano", "micro"):
        rounds = [[measure(profile, size) for size in SIZES] for _ in range(ROUNDS)]
        for size, seconds in zip(SIZES, np.min(rounds, axis=0).tolist(), strict=True):
            recalibration, evaluation = (round(value, 3) for value in seconds)
            rows.append(
                {
                    "profile": profile,
                    "batch": size,
                    "recalibration": recalibration,
                    "evaluation": evaluation,
                }
            )
            print(f"{profile:<10}{size:>6}{recalibration:>15}{evaluation:>12}", flush=True)
    save("batch_size", rows, {**machine(), "unit": "CPU seconds", "images": IMAGES})


if __name__ == "__main__":
    main()
