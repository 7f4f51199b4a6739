"""Search 45 x 22 with what candidates have in common computed once, beside each one alone.

    OMP_NUM_THREADS=1 python benchmarks/shared_prefix.py

The weights are random and the images the embedded ones: the cost of a search needs no more. Times
are CPU seconds of one thread. ``alone`` is the same walk with one candidate, ``cut_out`` a network
of its own for each candidate; both are measured on a sample of every generation, in turn with the
shared form, compared with it bit for bit, and scaled to the generation. Blocks and nodes are
counted over all candidates; ``blocks_by_node`` is what sharing whole nodes alone would compute. The
search with late crossover cuts at the later of two random genes.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from draw import draw
from record import machine, save
from torch import Tensor

from stnas.config import Config, DataConfig, SearchConfig, SpaceConfig
from stnas.data.epochs import evaluation_batches, subset
from stnas.learn.evaluation import Evaluation, evaluate, recalibrate_
from stnas.learn.scoring import Scorer, recalibration_images
from stnas.learn.task import Task, build_supernet, prepare
from stnas.search import nsga2
from stnas.search.candidates import Bounds
from stnas.search.nsga2 import Candidate, Genotype
from stnas.search.stage import hypervolume_share
from stnas.supernet import SuperNet, Trie

IMAGES = 512
SAMPLE = 5
"""One candidate in so many is also scored alone."""


@dataclass(frozen=True)
class Case:
    """A search; crossover None is the search's own."""

    name: str
    profile: str
    crossover: Callable[[Genotype, Genotype, np.random.Generator], Genotype] | None = None


@dataclass(frozen=True)
class Row:
    """What one generation took."""

    case: str
    generation: int
    candidates: int
    nodes_alone: int
    nodes: int
    blocks_alone: int
    blocks_by_node: int
    blocks: int
    cut_out: float
    alone: float
    shared: float


def late_crossover(first: Genotype, second: Genotype, rng: np.random.Generator) -> Genotype:
    """Join two parents at the later of two random genes."""
    point = int(rng.integers(1, len(first), size=2).max())
    return np.concatenate((first[:point], second[point:]))


CASES = [
    Case("micro", "micro"),
    Case("micro/late", "micro", late_crossover),
    Case("nano", "nano"),
    Case("nano/late", "nano", late_crossover),
]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of a call and its result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


class Meter:
    """Evaluates generations for a search, both ways, and keeps a row of each."""

    def __init__(self, case: Case, task: Task, supernet: SuperNet, config: Config) -> None:
        self.case, self.space, self.supernet = case, task.space, supernet
        self.images = recalibration_images(config, task)
        held_out = subset(task.dataset.validation, torch.arange(IMAGES))
        self.data: list[tuple[Tensor, Tensor]] = evaluation_batches(
            task.dataset, held_out, size=config.search.evaluation_batch
        )
        self.score = Scorer([supernet], self.images, self.data)
        self.rows: list[Row] = []

    def cut_out(self, genotype: Genotype) -> Evaluation:
        """Score a network of its own."""
        network = self.supernet.extract(genotype)
        recalibrate_(network, self.images)
        return evaluate(network, self.data)

    def evaluate(self, genotypes: list[Genotype], generation: int) -> list[Candidate]:
        """Score a generation together, and a sample of it alone."""
        matrix = np.stack(genotypes)
        shared, results = timed(lambda: self.score(matrix))
        seconds = {"cut_out": 0.0, "alone": 0.0}
        sample = range(generation % SAMPLE, len(genotypes), SAMPLE)
        for i in sample:
            spent, result = timed(lambda i=i: self.cut_out(genotypes[i]))
            seconds["cut_out"] += spent * len(genotypes) / len(sample)
            assert result == results[i]
            spent, result = timed(lambda i=i: self.score(matrix[i : i + 1])[0])
            seconds["alone"] += spent * len(genotypes) / len(sample)
            assert result == results[i]
        counted = {**self.counts(matrix), **seconds, "shared": shared}
        self.rows.append(Row(self.case.name, generation, len(matrix), **counted))
        madds, params = self.space.madds(matrix).tolist(), self.space.params(matrix).tolist()
        return [
            Candidate(row, madds[i], params[i], results[i].accuracy, results[i].loss, generation)
            for i, row in enumerate(genotypes)
        ]

    def counts(self, matrix: np.ndarray) -> dict[str, int]:
        """Count nodes and choice blocks with and without sharing."""
        trie = Trie(self.supernet, matrix)

        kinds = Counter(value.name.partition(".")[0] for value in trie.values)
        merged = Counter(
            source
            for value in trie.values
            if value.name.startswith("merges.")
            for source in value.inputs
        )
        blocks = [i for i, own in enumerate(trie.values, 1) if own.name.startswith("edges.")]
        paths = [self.space.arcs_of(row) for row in matrix]
        return {
            "nodes_alone": len(matrix) * len(self.space.nodes),
            "nodes": kinds["merges"],
            "blocks_alone": sum(arc.part is not None for arcs in paths for arc in arcs),
            "blocks_by_node": sum(max(1, merged[block]) for block in blocks),
            "blocks": kinds["edges"],
        }


def search(case: Case) -> tuple[list[Row], float]:
    """Run a whole search; return its rows and the dominated share at its end."""
    config = Config(
        run="unused",
        space=SpaceConfig(profile=case.profile, stem_stride=2),
        data=DataConfig(path="embedded"),
        search=SearchConfig(recalibration_images=IMAGES),
    )
    task = prepare(config)
    meter = Meter(case, task, build_supernet(config, task.space), config)
    meter.score(task.space.sample(2, p_drop=task.p_drop, seed=0))
    with patch.object(nsga2, "crossover", case.crossover or nsga2.crossover):
        archive = nsga2.evolve(
            Bounds(task.space, config.search),
            config.search,
            p_drop=task.p_drop,
            seed=0,
            evaluate=meter.evaluate,
            report=lambda *_: print(line(meter.rows[-1:]), flush=True),
        )
    return meter.rows, hypervolume_share(task.space, archive)


HEAD = (
    f"{'case':<12}{'generation':>11}{'candidates':>11}{'nodes':>14}{'blocks':>14}{'by node':>9}"
    f"{'cut out s':>11}{'alone s':>9}{'shared s':>9}{'alone/shared':>14}"
)


def line(rows: list[Row]) -> str:
    """Format the sum of some rows."""
    total = {f.name: sum(getattr(row, f.name) for row in rows) for f in fields(Row)[2:]}
    label = rows[0].generation if len(rows) == 1 else "all"
    nodes = f"{total['nodes']}/{total['nodes_alone']}"
    blocks = f"{total['blocks']}/{total['blocks_alone']}"
    return (
        f"{rows[0].case:<12}{label:>11}{total['candidates']:>11}{nodes:>14}{blocks:>14}"
        f"{total['blocks_by_node']:>9}{total['cut_out']:>11.2f}{total['alone']:>9.2f}"
        f"{total['shared']:>9.2f}{total['alone'] / total['shared']:>14.2f}"
    )


def main() -> None:
    """Print the tables and save them, and a plot."""
    torch.set_num_threads(1)
    print(HEAD)
    rows, totals = [], []
    for case in CASES:
        found, volume = search(case)
        rows += found
        totals.append(f"{line(found)}   hypervolume {volume:.4f}")
    print(HEAD, *totals, sep="\n")
    table = [
        {k: round(v, 4) if isinstance(v, float) else v for k, v in vars(row).items()}
        for row in rows
    ]
    save("shared_prefix", table, {**machine(), "unit": "CPU seconds", "images": IMAGES})
    draw("shared_prefix")


if __name__ == "__main__":
    main()
