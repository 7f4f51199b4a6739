"""What the warm-up of scales does to a hyper-network of SPOS's nano profile.

    nice python benchmarks/spos_scales.py FOLDER [--seeds 3] [--epochs 12]

Trains hyper-networks with 6 to 16 and with 2 to 16 tenths of the channels, each with and without
the warm-up, and one without scales, on the embedded images, and scores 256 random networks of each,
and the four that have one kind at its usual width everywhere. FOLDER keeps the runs and their
scores; the same command goes on. ``results/spos_scales.csv`` has a row a hyper-network.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch
from record import machine, save
from spos_nano import configuration

from stnas import train
from stnas.config import Config
from stnas.learn.scoring import scorer
from stnas.learn.task import prepare
from stnas.space import Genotypes, SearchSpace
from stnas.store.run_folder import RunFolder

NETWORKS = 256
USUAL = 10
CASES: tuple[tuple[tuple[int, ...] | None, float | None], ...] = (
    ((6, 8, 10, 12, 14, 16), None),
    ((6, 8, 10, 12, 14, 16), 0.0),
    (None, None),
    ((2, 4, 6, 8, 10, 12, 14, 16), None),
    ((2, 4, 6, 8, 10, 12, 14, 16), 0.0),
)
"""Scales, and what ``train.scale_warmup`` is."""


def configured(
    folder: Path, seed: int, epochs: int, scales: tuple[int, ...] | None, warmup: float | None
) -> Config:
    """Configure a hyper-network as ``spos_nano`` does, with scales."""
    plain = configuration(folder, seed, epochs)
    name = "none" if scales is None else f"{scales[0]}-{scales[-1]}-{warmup}"
    return replace(
        plain,
        run=str(folder / f"{name}-{seed}"),
        space=replace(plain.space, scales=scales),
        train=replace(plain.train, scale_warmup=warmup),
    )


def usual(space: SearchSpace, scales: tuple[int, ...] | None) -> Genotypes:
    """Return the networks that have one kind at its usual width everywhere ``[4, genes]``."""
    count = len(scales or (USUAL,))
    place = (scales or (USUAL,)).index(USUAL)
    rows = [[kind * count + place] * space.num_genes for kind in range(4)]
    return np.array(rows, np.int8)


def row(config: Config, scales: tuple[int, ...] | None) -> dict[str, str]:
    """Train and score where that is not done, and summarise."""
    file = Path(config.run) / "scores.json"
    if not file.exists():
        if not (Path(config.run) / "train" / "weights.safetensors").exists():
            train.run(config)
        task = prepare(config)
        score = scorer(config, task, RunFolder(config), split=task.dataset.validation)
        drawn = task.space.sample(NETWORKS, p_drop=0.5, seed=0)
        found: dict[str, Any] = {
            name: [own.accuracy for own in score(rows)]
            for name, rows in (("random", drawn), ("usual", usual(task.space, scales)))
        }
        file.write_text(json.dumps(found))
    found = json.loads(file.read_text())
    return {
        "scales": " ".join(map(str, scales or (USUAL,))),
        "warmup": "off" if config.train.scale_warmup == 0 else "on" if scales else "",
        "seed": str(config.seed),
        "mean": f"{fmean(found['random']):.4f}",
        "deviation": f"{stdev(found['random']):.4f}",
        "best": f"{max(found['random']):.4f}",
        "usual": " ".join(f"{own:.4f}" for own in found["usual"]),
    }


def main() -> None:
    """Parse the command line, train and score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    about = {**machine(), "command": "python benchmarks/spos_scales.py FOLDER"}
    rows = []
    for seed in range(options.seeds):
        for scales, warmup in CASES:
            config = configured(options.folder, seed, options.epochs, scales, warmup)
            rows.append(row(config, scales))
            save("spos_scales", rows, {**about, "epochs": options.epochs})


if __name__ == "__main__":
    main()
