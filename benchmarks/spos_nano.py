"""Where evolution, NSGA-II and random search end among all 4,096 networks of SPOS's nano profile.

    nice python benchmarks/spos_nano.py FOLDER [--seeds 5] [--epochs 12]

Trains a hyper-network a seed on the embedded images, on one split, and scores every network under
it; FOLDER keeps the runs, and the same command goes on. ``results/spos_nano_scores.csv`` has the
scores, ``results/spos_nano.csv`` the searches. A score depends on the network alone, so a search
that looks its scores up finds what one that computes them would.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from record import Row, known, machine, save

from stnas import train
from stnas.config import Config, DataConfig, SearchConfig, SpaceConfig, TrainConfig
from stnas.learn.scoring import scorer
from stnas.learn.task import prepare
from stnas.search.candidates import Bounds
from stnas.search.objectives import Candidate
from stnas.search.strategies import evolve
from stnas.space import Genotypes, SearchSpace
from stnas.store.run_folder import RunFolder

SPACE = SearchSpace.profile("nano", family="spos", image_size=28, in_channels=1)
ALL: Genotypes = np.array(np.unravel_index(np.arange(4096), (4,) * 6)).T.astype(np.int8)
MADDS = SPACE.madds(ALL)
PLACE = {row.tobytes(): i for i, row in enumerate(ALL)}
LIMITS = (431_124, 320_000)
"""Multiply-adds; the first admits every network."""
BUDGETS = ((20, 10), (50, 20))
"""Networks a generation, and generations; the last is the paper's."""
STRATEGIES = ("spos", "nsga2", "random")
SEARCHES = 10
KEYS = ("limit", "evaluated", "seed", "strategy")


@dataclass(frozen=True)
class Scores:
    """What a hyper-network gives all networks ``[4096]`` on the held-out images."""

    seed: int
    accuracy: NDArray[np.float64]
    loss: NDArray[np.float64]

    def order(self, measure: str) -> NDArray[np.int64]:
        """Return how many networks are better than each, by the fitness of a search ``[4096]``."""
        first = self.loss if measure == "loss" else -self.accuracy
        ranked = np.lexsort((MADDS, self.loss, first))
        places = np.empty(4096, np.int64)
        places[ranked] = np.arange(4096)
        return places


def configuration(folder: Path, seed: int, epochs: int) -> Config:
    """Configure the training of a hyper-network, as docs/spos.md describes it."""
    return Config(
        run=str(folder / f"seed-{seed}"),
        seed=seed,
        threads=1,
        space=SpaceConfig(family="spos", profile="nano"),
        data=DataConfig(path="embedded", crop_padding=1, split_seed=0),
        train=TrainConfig(
            epochs=epochs,
            batch_size=128,
            learning_rate=0.1,
            final_learning_rate=0.0,
            momentum=0.9,
            weight_decay=3e-4,
            initialisation="normal",
            sampling="uniform",
            checkpoints=0,
        ),
        search=SearchConfig(
            score="single",
            recalibration_images=500,
            recalibration_batch=250,
            evaluation_batch=240,
        ),
    )


def scores(config: Config) -> Scores:
    """Train a hyper-network where it is not trained, and score all networks where they are not."""
    file = Path(config.run) / "scores.json"
    if not file.exists():
        if not (Path(config.run) / "train" / "weights.safetensors").exists():
            train.run(config)
        task = prepare(config)
        score = scorer(config, task, RunFolder(config), split=task.dataset.validation)
        found = [own for part in np.array_split(ALL, 16) for own in score(part)]
        numbers = {name: [getattr(own, name) for own in found] for name in ("accuracy", "loss")}
        file.write_text(json.dumps(numbers))
    known = json.loads(file.read_text())
    return Scores(config.seed, np.array(known["accuracy"]), np.array(known["loss"]))


def looked_up(found: Scores) -> Callable[[list[Any], int], list[Candidate]]:
    """Return what scores a generation by looking it up."""

    def evaluate(genotypes: list[Any], generation: int) -> list[Candidate]:
        rows = [PLACE[genotype.tobytes()] for genotype in genotypes]
        return [
            Candidate(
                ALL[i], int(MADDS[i]), 1, float(found.accuracy[i]), float(found.loss[i]), generation
            )
            for i in rows
        ]

    return evaluate


def cells(seeds: int) -> Iterator[tuple[int, int, int, int, str]]:
    """List (limit, networks a generation, generations, seed, strategy), what says most first."""
    for limit in LIMITS:
        for size, generations in BUDGETS:
            for seed in range(seeds):
                for strategy in STRATEGIES:
                    yield limit, size, generations, seed, strategy


def searched(
    found: Scores, limit: int, size: int, generations: int, strategy: str, measure: str = "accuracy"
) -> Row:
    """Search with SEARCHES seeds; return where the best of each lies among all networks."""
    places = found.order(measure)
    ranks = [
        rank(found, places, measure, strategy, size, generations, limit, seed)
        for seed in range(SEARCHES)
    ]
    return {
        "seed": str(found.seed),
        "measure": measure,
        "strategy": strategy,
        "evaluated": str(size * generations),
        "limit": str(limit),
        "networks": str(int((limit >= MADDS).sum())),
        "ranks": " ".join(map(str, ranks)),
        "median": f"{np.median(ranks):g}",
        "worst": str(max(ranks)),
        "best_found": str(sum(own == 0 for own in ranks)),
    }


def rank(
    found: Scores,
    places: NDArray[np.int64],
    measure: Any,
    strategy: Any,
    size: int,
    generations: int,
    limit: int,
    seed: int,
) -> int:
    """Return how many networks under the limit are better than the best that a search found."""
    options = SearchConfig(
        strategy=strategy, population=size, generations=generations, measure=measure
    )
    archive = evolve(
        Bounds(SPACE, options),
        options,
        [float(limit)],
        p_drop=0.5,
        seed=seed,
        evaluate=looked_up(found),
        report=lambda *_: None,
    )
    inside = [PLACE[own.genotype.tobytes()] for own in archive if own.madds <= limit]
    best = min(places[i] for i in inside)
    return int(((limit >= MADDS) & (places < best)).sum())


def table(all_scores: list[Scores]) -> list[dict[str, str]]:
    """Return a row a network: its genes, costs and scores under each hyper-network."""
    params = SPACE.params(ALL)
    return [
        {
            "genes": "".join(map(str, row)),
            "madds": str(MADDS[i]),
            "params": str(params[i]),
            **{f"loss{own.seed}": f"{own.loss[i]:.4f}" for own in all_scores},
            **{f"accuracy{own.seed}": f"{own.accuracy[i]:.4f}" for own in all_scores},
        }
        for i, row in enumerate(ALL)
    ]


def main() -> None:
    """Parse the command line, train, score and search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    about = {**machine(), "command": "python benchmarks/spos_nano.py FOLDER"}
    scored = list[Scores]()
    for seed in range(options.seeds):
        scored.append(scores(configuration(options.folder, seed, options.epochs)))
        save("spos_nano_scores", table(scored), {**about, "epochs": options.epochs})
    rows = known("spos_nano")
    done = {tuple(row[name] for name in KEYS) for row in rows}
    for limit, size, generations, seed, strategy in cells(options.seeds):
        if (str(limit), str(size * generations), str(seed), strategy) not in done:
            rows.append(searched(scored[seed], limit, size, generations, strategy))
            save("spos_nano", rows, about)


if __name__ == "__main__":
    main()
