"""Train networks of several small spaces from scratch: what architecture, seed and recipe matter.

    nice python benchmarks/space_study.py --fashion FOLDER

FOLDER: the whole Fashion-MNIST as IDX files, whose 10,000 test images judge; training images are
the 12,000 embedded ones. Every training that ends adds a row to ``results/space_study.csv``, and
the same command goes on; ``space_study_tables.py`` makes the tables of docs/search-value.md.
Seeds begin at 100: those below are left for the runs whose figures are reported.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from record import known, machine, save
from scratch_training import Recipe, Separable, of_size, trained

from stnas.config.data import DataConfig
from stnas.data import load as load_images
from stnas.group.streams import global_stream
from stnas.space import SearchSpace
from stnas.supernet import Network

NAME = "space_study"
SPACES: dict[str, dict[str, Any]] = {
    "micro": {},
    "222-12-24-48": {"stages": (2, 2, 2), "widths": (12, 24, 48)},
    "222-8-16-32 e136": {"stages": (2, 2, 2), "widths": (8, 16, 32), "expands": (1, 3, 6)},
    "122-12-24-48 e136": {"stages": (1, 2, 2), "widths": (12, 24, 48), "expands": (1, 3, 6)},
}
"""Changes to ``micro`` with stem stride 2 and residuals in every block."""
BASE = Recipe()
BETTER = replace(BASE, weight_decay=5e-4, dropout=0.0)
RECIPES = {
    "quickstart": BASE,
    "weight decay 5e-4": replace(BASE, weight_decay=5e-4),
    "one window a batch": replace(BASE, crop="batch"),
    "dropout 0": replace(BASE, dropout=0.0),
    "batch 32": replace(BASE, batch=32),
    "batch 32, dropout 0": replace(BASE, batch=32, dropout=0.0),
    "rate 0.2": replace(BASE, learning_rate=0.2),
    "decay 5e-4, dropout 0": BETTER,
}
SHORT = (2, 4, 8)
"""Epochs of the trainings that a verdict could afford."""


@dataclass(frozen=True)
class Case:
    """One training; network: the number of a drawn one, or ``separable``.

    held_out: train on the training images alone, and judge on the held-out ones too.
    """

    space: str
    size: int
    network: str
    recipe: str
    epochs: int
    held_out: bool
    seed: int

    @property
    def key(self) -> tuple[str, ...]:
        """Return what tells it from the others, as the table has it."""
        return tuple(str(value) for value in vars(self).values())


def cases() -> Iterator[Case]:
    """List the trainings, the factors of the recipe first."""
    for recipe in RECIPES:
        for seed in (100, 101):
            for size in (500_000, 1_000_000):
                if recipe != "decay 5e-4, dropout 0":
                    yield Case("micro", size, "0", recipe, BASE.epochs, False, seed)
    for space in ("micro", "222-12-24-48"):
        for i in range(5):
            yield Case(space, 500_000, str(i), "decay 5e-4, dropout 0", BASE.epochs, False, 100)
    for i in range(6):
        yield Case(
            "122-12-24-48 e136", 300_000, str(i), "decay 5e-4, dropout 0", BASE.epochs, False, 100
        )
    small = ("222-8-16-32 e136", 300_000)
    for seed in (100, 101):
        yield Case(*small, "separable", "decay 5e-4, dropout 0", BASE.epochs, False, seed)
    for i in range(10):
        for seed in (100, 101):
            yield Case(*small, str(i), "decay 5e-4, dropout 0", BASE.epochs, False, seed)
        for epochs in SHORT:
            yield Case(*small, str(i), "decay 5e-4, dropout 0", epochs, True, 100)


class Trainer:
    """Trains cases on the embedded images and judges them on the whole test set."""

    def __init__(self, fashion: Path) -> None:
        """Load both sets."""
        self.data = load_images(DataConfig(path="embedded"), seed=0)
        self.test = load_images(DataConfig(path=str(fashion)), seed=0).test
        self.sizes = {
            "image_size": self.data.image_size,
            "in_channels": self.data.in_channels,
            "num_classes": self.data.num_classes,
        }

    def row(self, case: Case) -> dict[str, Any]:
        """Train a case; return its row of the table."""
        recipe = replace(RECIPES[case.recipe], epochs=case.epochs)
        tests = {"test": self.data.test, "test10k": self.test}
        split = self.data.train.joined(self.data.validation)  # type: ignore[arg-type]
        if case.held_out:
            recipe = replace(recipe, warmup=min(1.0, case.epochs / 4))
            split, tests = self.data.train, {"held_out": self.data.validation, **tests}
        network, about = self.network(case)
        found = trained(network, self.data, split, recipe, seed=case.seed, tests=tests)  # type: ignore[arg-type]
        return {**vars(case), **about, **{k: f"{v:.5g}" for k, v in found.items()}}

    def network(self, case: Case) -> tuple[torch.nn.Module, dict[str, Any]]:
        """Build the network of a case; say what it is."""
        with global_stream(case.seed, "weights", case.space, case.network):
            if case.network == "separable":
                plain = Separable(1, (16, 32, 64), self.data.num_classes)
                count = sum(p.numel() for p in plain.parameters())
                about = {"genotype": "", "madds": SEPARABLE_MADDS, "params": count}
                return plain.to(memory_format=torch.channels_last), about  # type: ignore[call-overload]
            options = {"stem_stride": 2, "residual": "all", **SPACES[case.space], **self.sizes}
            space = SearchSpace.profile("micro", **options)
            genotype = of_size(space, case.size, int(case.network) + 1, seed=100)[-1]
            sizes = {k: int(getattr(space, k)(genotype[None])[0]) for k in ("madds", "params")}
            return Network.build(space, genotype), {"genotype": space.format(genotype), **sizes}


SEPARABLE_MADDS = 315_824
"""Of ``Separable`` with widths 16, 32, 64 on 28x28 grey images in 10 classes."""


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fashion", type=Path, required=True, help="folder of Fashion-MNIST")
    options = parser.parse_args()
    rows = known(NAME)
    names = list(Case.__dataclass_fields__)
    done = {tuple(row[name] for name in names) for row in rows}
    trainer = Trainer(options.fashion)
    for case in cases():
        if case.key not in done:
            rows.append(trainer.row(case))
            save(NAME, rows, machine())
            print(" ".join(case.key), rows[-1]["test10k_accuracy"], flush=True)


if __name__ == "__main__":
    main()
