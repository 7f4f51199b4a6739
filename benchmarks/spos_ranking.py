"""How the rankings of SPOS's hyper-networks agree with trainings from scratch, on its nano profile.

    nice python benchmarks/spos_ranking.py FOLDER [--seeds 3] [--cases 4] [--twice 18]

Trains 36 networks from scratch on the embedded images, ``--twice`` of them with a second seed, and
hyper-networks by each case of CASES, which rank them with BN statistics of their own and with
shared ones. FOLDER keeps the runs, and the same command goes on. ``results/spos_ranking_truth.csv``
has the trainings, ``spos_ranking_scores.csv`` the scores, and ``spos_ranking.csv`` Kendall's tau-b
with 95 % intervals over networks and seeds, made of them by ``--collect`` alone, too.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
from record import Row, load, machine, save
from spos_nano import SPACE, configuration
from spos_ranking_table import table
from torch import Tensor

from stnas import rank, train
from stnas.config import Config, RankConfig, RetrainConfig
from stnas.learn.readings import Number
from stnas.learn.single_path import SinglePath
from stnas.rank.architectures import stratified
from stnas.store.files import read_json, read_rows

NETWORKS, TRUTH_EPOCHS = 36, 10


class Case(NamedTuple):
    """How hyper-networks are trained. dense: every tensor moves in every step, as in ``Dense``."""

    name: str
    epochs: int
    train: dict[str, Any]
    dense: bool = False


CASES = (
    Case("uniform", 40, {}),
    Case("uniform 12 epochs", 12, {}),
    Case("fair", 40, {"sampling": "fair"}),
    Case("inactive tensors move", 40, {}, dense=True),
    Case("affine BN", 40, {"affine": True}),
    Case("torch's initialisation", 40, {"initialisation": "torch"}),
)


class Dense(SinglePath):
    """What frameworks do where a gradient is 0: a tensor without one moves by its velocity, too."""

    def update_(self, images: Tensor, labels: Tensor, step: int) -> tuple[Number, Number]:
        """Take a step, then move what the architecture does not use as by a gradient of 0."""
        found = super().update_(images, labels, step)
        used = self.supernet.active_parameters(self.sampler.genotype(step))
        self.drift_(set(range(len(self.parameters))) - set(used), self.rate(step))
        return found

    @torch.no_grad()
    def drift_(self, idle: set[int], rate: float) -> None:
        """Move parameters by their velocities and decay alone."""
        momentum = self.momentum
        assert momentum is not None
        weights = [momentum.weights[i] for i in sorted(idle)]
        velocities = [momentum.velocities[i] for i in sorted(idle)]
        torch._foreach_mul_(velocities, momentum.factor)
        torch._foreach_add_(velocities, weights, alpha=momentum.weight_decay)
        torch._foreach_add_(weights, velocities, alpha=-rate)


def configured(folder: Path, case: Case, seed: int, *, twice: int) -> Config:
    """Configure a hyper-network and its ranking."""
    plain = configuration(folder, seed, case.epochs)
    return replace(
        plain,
        run=str(folder / f"{case.name.replace(' ', '-')}-{seed}"),
        train=replace(plain.train, **case.train),
        retrain=RetrainConfig(
            batch_size=128,
            learning_rate=0.1,
            warmup_epochs=0,
            nesterov=False,
            weight_decay=3e-4,
            decay_vectors=False,
            initialisation="normal",
            recalibrate=True,
        ),
        rank=RankConfig(
            genotypes=str(folder / "networks.txt"),
            truth=str(folder / "truth"),
            truth_epochs=TRUTH_EPOCHS,
            truth_seeds=2 if twice else 1,
            repeated=twice,
            ways=("single",),
            shared_statistics_steps=100,
        ),
    )


def work(config: Config, *, dense: bool) -> None:
    """Train and rank what is not ranked."""
    run = Path(config.run)
    if not (run / "train" / "weights.safetensors").exists():
        with mock.patch("stnas.train.stage.SinglePath", Dense if dense else SinglePath):
            train.run(config)
    if not (run / "rank" / "result.json").exists():
        rank.run(config)


def trainings(run: Path) -> list[Row]:
    """Return a row an architecture, with its costs and what its trainings from scratch reached."""
    return [
        {
            "genotype": own["genotype"],
            "madds": str(own["madds"]),
            "params": str(own["params"]),
            **{f"accuracy_{seed}": f"{value:.4f}" for seed, value in enumerate(own["truth"])},
        }
        for own in read_json(run / "rank" / "result.json")["architectures"]
    ]


def scored(run: Path, case: str, seed: int) -> Iterator[Row]:
    """Yield the scores of a hyper-network, a row for each kind of BN statistics and measure."""
    for line in read_rows(run / "rank" / "scores.jsonl", origin=None):
        for measure in ("accuracy", "loss"):
            values = dict(zip(line["rows"], line[measure], strict=True))
            words = {"case": case, "seed": str(seed), "statistics": line["statistics"]}
            yield {
                **words,
                "measure": measure,
                **{f"a{i}": f"{values[i]:.5f}" for i in sorted(values)},
            }


def collect(folder: Path, seeds: int) -> None:
    """Write trainings and scores of all complete rankings as tables."""
    truth, scores = list[Row](), list[Row]()
    for case in CASES:
        for seed in range(seeds):
            run = Path(configured(folder, case, seed, twice=0).run)
            if (run / "rank" / "result.json").exists():
                truth = max(truth, trainings(run), key=lambda rows: sum(map(len, rows)))
                scores += scored(run, case.name, seed)
    about = {**machine(), "command": "python benchmarks/spos_ranking.py FOLDER"}
    save("spos_ranking_truth", truth, about)
    save("spos_ranking_scores", scores, about)


def main() -> None:
    """Parse the command line, train, rank, and make the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cases", type=int, default=len(CASES), help="the first so many cases")
    parser.add_argument("--twice", type=int, default=0, help="networks trained with two seeds")
    parser.add_argument("--collect", action="store_true", help="make the tables alone")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    if not options.collect:
        networks = stratified(SPACE, NETWORKS, p_drop=0.5)
        lines = "".join(f"{SPACE.format(own)}\n" for own in networks)
        (options.folder / "networks.txt").write_text(lines)
        for case in CASES[: options.cases]:
            for seed in range(options.seeds):
                config = configured(options.folder, case, seed, twice=options.twice)
                work(config, dense=case.dense)
                collect(options.folder, options.seeds)
    rows = table(load("spos_ranking_truth"), load("spos_ranking_scores"))
    save("spos_ranking", rows, {**machine(), "command": "python benchmarks/spos_ranking.py FOLDER"})


if __name__ == "__main__":
    main()
