"""Train networks of the quickstart's space under other recipes of retraining, one change at a time.

    nice python benchmarks/retrain_study.py --fashion FOLDER

FOLDER: the whole Fashion-MNIST as IDX files, whose 10,000 test images judge; training images are
the 12,000 embedded ones. Two random networks of 300 and two of 600 thousand multiply-adds; a
training that ends adds a row to ``results/retrain_study.csv``, and the same command goes on;
``retrain_study_tables.py`` makes the table of docs/search-value.md. Seeds begin at 100: those
below are left for the runs whose figures are reported. ``trivial`` needs torchvision.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from record import known, machine, save
from scratch_training import Recipe, of_size, trained

from stnas.config.data import DataConfig
from stnas.data import load as load_images
from stnas.group.streams import global_stream
from stnas.space import SearchSpace
from stnas.supernet import Network

NAME = "retrain_study"
SPACE = {"stages": (2, 2, 2), "widths": (8, 16, 32), "expands": (1, 3, 6), "stem_stride": 2,
         "residual": "all", "dropout": 0.0}  # fmt: skip
BASE = Recipe(dropout=0.0, averages=(0.99, 0.998))
OUTSIDE = replace(BASE, weight_decay=5e-4, crop="batch", schedule="one cycle", warmup=0)
RECIPES = {
    "quickstart": BASE,
    "these three": OUTSIDE,
    "30 epochs": replace(BASE, epochs=30),
    "one cycle": replace(BASE, schedule="one cycle"),
    "smoothing 0.1": replace(BASE, smoothing=0.1),
    "batch 32": replace(BASE, batch=32),
    "trivial": replace(BASE, augment="trivial"),
    "mixup 0.2": replace(BASE, mixup=0.2),
    "weight decay 5e-4": replace(BASE, weight_decay=5e-4),
    "one window a batch": replace(BASE, crop="batch"),
    "padding 4, dropout 0.2": replace(BASE, dropout=0.2, padding=4),
    "rate 0.2": replace(BASE, learning_rate=0.2),
}


@dataclass(frozen=True)
class Case:
    """One training; network: the number of a drawn one."""

    size: int
    network: int
    recipe: str
    seed: int

    @property
    def key(self) -> tuple[str, ...]:
        """Return what tells it from the others, as the table has it."""
        return tuple(str(value) for value in vars(self).values())


def cases(seeds: int) -> Iterator[Case]:
    """List the trainings."""
    for seed in range(100, 100 + seeds):
        for network in range(2):
            for recipe in RECIPES:
                for size in (300_000, 600_000):
                    yield Case(size, network, recipe, seed)


class Trainer:
    """Trains cases on the embedded images and judges them on the whole test set."""

    def __init__(self, fashion: Path) -> None:
        """Load both sets."""
        self.data = load_images(DataConfig(path="embedded"), seed=0)
        self.tests = {"test10k": load_images(DataConfig(path=str(fashion)), seed=0).test}
        self.space = SearchSpace.profile(
            "micro",
            image_size=self.data.image_size,
            in_channels=self.data.in_channels,
            num_classes=self.data.num_classes,
            **SPACE,
        )

    def row(self, case: Case) -> dict[str, Any]:
        """Train a case; return its row of the table."""
        genotype = of_size(self.space, case.size, case.network + 1, seed=100)[-1]
        with global_stream(case.seed, "weights", str(case.size), str(case.network)):
            network = Network.build(self.space, genotype)
        split = self.data.train.joined(self.data.validation)  # type: ignore[arg-type]
        recipe = RECIPES[case.recipe]
        found = trained(network, self.data, split, recipe, seed=case.seed, tests=self.tests)  # type: ignore[arg-type]
        about = {"genotype": self.space.format(genotype)}
        return {**vars(case), **about, **{k: f"{v:.5g}" for k, v in found.items()}}


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fashion", type=Path, required=True, help="folder of Fashion-MNIST")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each case")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = known(NAME)
    done = {tuple(row[name] for name in Case.__dataclass_fields__) for row in rows}
    trainer = Trainer(options.fashion)
    for case in cases(options.seeds):
        if case.key not in done:
            rows.append(trainer.row(case))
            save(NAME, rows, machine("torchvision"))
            print(" ".join(case.key), rows[-1]["test10k_accuracy"], flush=True)


if __name__ == "__main__":
    main()
