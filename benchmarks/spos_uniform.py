"""Whether searched widths, or bits, make a better network than one width, or bits, everywhere.

    nice python benchmarks/spos_uniform.py FOLDER widths [--seeds 3]
    nice python benchmarks/spos_uniform.py FOLDER bits [--seeds 3]

For each seed a hyper-network is trained on the embedded images and searched: of SPOS's nano profile
with 6 to 16 tenths of the channels under 340,000 multiply-adds, or of resnet14 under the BitOps of
2 and of 3 bits everywhere. Each limit's choice is trained from scratch twice, and so is the network
that has the choice's kinds at the one width whose cost is nearest, or the limit's bits everywhere;
beside them two random networks of the choice's cost. FOLDER keeps the runs, and the same command
goes on. ``results/spos_uniform.csv`` has a row a training.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from record import Row, known, machine, save
from scratch_training import Recipe, trained
from spos_nano import configuration

from stnas import search, train
from stnas.config import Config, SearchConfig, SpaceConfig
from stnas.learn.task import Task, build_network, prepare, training_images
from stnas.retrain.plan import random_twins
from stnas.space import Genotype, SearchSpace
from stnas.space.quant import uniform

SCALES = (6, 8, 10, 12, 14, 16)
TENTHS = range(5, 17)
KEYS = ("kind", "limit", "seed", "role", "training")
Network = tuple[SearchSpace, Genotype]


class Kind(NamedTuple):
    """What is searched. uniform: the network of one width or bits beside a limit's choice."""

    space: SpaceConfig
    kernels: str
    cost: str
    limits: tuple[int, ...]
    epochs: int
    search: SearchConfig
    recipe: Recipe
    uniform: Callable[[SearchSpace, Genotype, int], Network]
    trainings: tuple[tuple[str, int], ...] = (("chosen", 2), ("uniform", 2), ("random", 2))


def one_width(space: SearchSpace, genotype: Genotype, _limit: int) -> Network:
    """Return the kinds of a network at the one width whose multiply-adds are nearest."""
    kinds, target = genotype // len(SCALES), space.madds(genotype[None])[0]
    spaces = [
        SearchSpace.profile("nano", family="spos", image_size=28, in_channels=1, scales=(tenths,))
        for tenths in TENTHS
    ]
    distances = [abs(int(own.madds(kinds[None])[0] - target)) for own in spaces]
    return spaces[int(np.argmin(distances))], kinds


def same_bits(space: SearchSpace, genotype: Genotype, limit: int) -> Network:
    """Return the network of one number of bits everywhere under the limit."""
    return uniform(space, limit), np.zeros_like(genotype)


EVOLUTION = SearchConfig(
    strategy="spos",
    score="single",
    recalibration_images=1000,
    recalibration_batch=250,
    evaluation_batch=240,
    population=50,
    generations=8,
    random=0,
)
RECIPE = Recipe(epochs=15, batch=128, warmup=0, weight_decay=3e-4, dropout=0.1)
KINDS = {
    "widths": Kind(
        space=SpaceConfig(family="spos", profile="nano", scales=SCALES),
        kernels="fused",
        cost="madds",
        limits=(340_000,),
        epochs=40,
        search=EVOLUTION,
        recipe=RECIPE,
        uniform=one_width,
    ),
    "bits": Kind(
        space=SpaceConfig(family="quant", profile="resnet14"),
        kernels="reference",
        cost="bitops",
        limits=(20_070_400, 45_158_400),
        epochs=6,
        search=replace(EVOLUTION, population=20, generations=6),
        recipe=replace(RECIPE, epochs=6, weight_decay=1e-4, dropout=0.0),
        uniform=same_bits,
    ),
}


def configured(folder: Path, name: str, seed: int) -> Config:
    """Configure the hyper-network of a kind and its search."""
    kind = KINDS[name]
    plain = configuration(folder, seed, kind.epochs)
    initialisation = "normal" if name == "widths" else "kaiming"
    return replace(
        plain,
        run=str(folder / f"{name}-{seed}"),
        kernels=kind.kernels,
        space=kind.space,
        train=replace(
            plain.train,
            weight_decay=kind.recipe.weight_decay,
            initialisation=initialisation,
        ),
        search=replace(kind.search, cost=kind.cost, limits=kind.limits),
        retrain=replace(plain.retrain, initialisation=initialisation),
    )


def networks(
    kind: Kind, task: Task, config: Config
) -> Iterator[tuple[tuple[int, str, int], Network]]:
    """Yield limit, role and number of the training, and the network, of what is to be trained."""
    found = json.loads((Path(config.run) / "search" / "result.json").read_text())
    for choice in found["choices"]:
        limit, text = int(choice["limit"]), choice["genotype"]
        genotype = task.space.parse(text)
        count = dict(kind.trainings)["random"]
        twins = random_twins(task.space, text, count, seed=config.seed, cost=kind.cost)
        made: dict[str, list[Network]] = {
            "chosen": [(task.space, genotype)],
            "uniform": [kind.uniform(task.space, genotype, limit)],
            "random": [(task.space, twin) for twin in twins],
        }
        for role, trainings in kind.trainings:
            for i in range(trainings):
                yield (limit, role, i), made[role][i % len(made[role])]


def row(config: Config, kind: Kind, task: Task, number: int, network: Network) -> Row:
    """Train a network from scratch and tell what it reached."""
    space, genotype = network
    own = replace(config, seed=1000 * config.seed + number)
    text = space.format(genotype)
    found = trained(
        build_network(own, space, genotype, text),
        task.dataset,
        training_images(config, task),
        kind.recipe,
        seed=own.seed,
        tests={"test": task.dataset.test},
    )
    return {
        "genotype": text,
        "genes": " ".join(gene.choices[i] for gene, i in zip(space.genes, genotype, strict=True)),
        "cost": str(int(space.costs[kind.cost](genotype[None])[0])),
        "accuracy": f"{found['test_accuracy']:.4f}",
    }


def main() -> None:
    """Parse the command line, train, search, and train from scratch what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    kind = KINDS[options.kind]
    about = {**machine(), "command": "python benchmarks/spos_uniform.py FOLDER widths|bits"}
    for seed in range(options.seeds):
        config = configured(options.folder, options.kind, seed)
        for name, stage in (("train", train), ("search", search)):
            if not (Path(config.run) / name / "result.json").exists():
                stage.run(config)
        task = prepare(config)
        for (limit, role, number), network in networks(kind, task, config):
            own = (options.kind, str(limit), str(seed), role, str(number))
            key = dict(zip(KEYS, own, strict=True))
            rows = known("spos_uniform")
            if not any(key.items() <= own.items() for own in rows):
                made = row(config, kind, task, number, network)
                save("spos_uniform", [*rows, {**key, **made}], about)


if __name__ == "__main__":
    main()
