"""Score the architectures by every way, and keep what is scored."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stnas.config import Config
from stnas.config.rank import Way
from stnas.data import class_weights, epoch_order
from stnas.data.epochs import Batch, Batches, evaluation_batches, subset
from stnas.group.streams import derive
from stnas.learn.evaluation import Evaluation, Tally, evaluate, fresh_statistics, recalibrate_
from stnas.learn.memory import repaired_by, shorter_tuning, smaller_batches
from stnas.learn.scoring import Scorer, recalibration_images
from stnas.learn.task import Task, build_supernet
from stnas.rank.finetuning import finetuned, stop_steps
from stnas.rank.ledger import Key, Ledger, Statistics
from stnas.rank.probe import probe_
from stnas.rank.weights import MEAN, TRAINED, Weights, WeightSource
from stnas.space import Genotypes
from stnas.store.journal import Journal
from stnas.store.run_folder import RunFolder
from stnas.supernet import Network, SuperNet, track_statistics_


@dataclass(frozen=True)
class Bench:
    """What every way needs to score: architectures, images, and where the scores go."""

    config: Config
    task: Task
    genotypes: Genotypes
    ledger: Ledger
    journal: Journal
    run: RunFolder
    images: Batches[Tensor]
    data: Batches[Batch]

    @property
    def source(self) -> WeightSource:
        """Return what gives the weights of the ways."""
        return WeightSource(self.config, self.task, self.journal, self.run)

    @classmethod
    def make(
        cls,
        config: Config,
        task: Task,
        genotypes: Genotypes,
        *,
        ledger: Ledger,
        journal: Journal,
        run: RunFolder,
    ) -> "Bench":
        """Take the images of the search: fixed training images, and those that are held out."""
        images = recalibration_images(config, task)
        data = evaluation_batches(
            task.dataset, task.dataset.validation, size=config.search.evaluation_batch
        )
        return cls(config, task, genotypes, ledger, journal, run, images, data)

    def score_(self, way: Way, position: int) -> None:
        """Score by one way what has no score yet.

        position: how many pieces of work the stage has behind it.
        """
        source = self.source
        if all(self._complete(way, label) for label in source.labels(way)):
            source.forget(way)
            return
        for number, (label, weights) in enumerate(source.weights(way, position)):
            with repaired_by(smaller_batches(self.config.search)):
                self._score_weights_(way, label, weights)
            self.journal.progress(position + (number + 1) / len(source.labels(way)))
        source.forget(way)

    def _complete(self, way: Way, label: str) -> bool:
        keys: list[Key] = [(way.name, label, "own")]
        if self._scores_running(label):
            keys.append((way.name, label, "running"))
        return all(self.ledger.has(key) for key in keys)

    def _scores_running(self, label: str) -> bool:
        """Tell whether weights are scored without recalibration: the trained ones and means are."""
        return self.config.rank.shared_statistics_steps > 0 and label in (TRAINED, MEAN)

    def _loaded(self, weights: Weights) -> SuperNet:
        supernet = build_supernet(self.config, self.task.space)
        supernet.load_state_dict(weights)
        return supernet

    def _score_weights_(self, way: Way, label: str, weights: Weights) -> None:
        if self._complete(way, label):
            return
        supernet, rows = self._loaded(weights), range(len(self.genotypes))
        if not self.ledger.has((way.name, label, "own")):
            scores = Scorer([supernet], self.images, self.data)(self.genotypes)
            self.ledger.add_((way.name, label, "own"), rows, scores)
        if self._scores_running(label) and not self.ledger.has((way.name, label, "running")):
            observe_(supernet, self.images, config=self.config, task=self.task)
            scores = [evaluate_path(supernet, genotype, self.data) for genotype in self.genotypes]
            self.ledger.add_((way.name, label, "running"), rows, scores)

    def probe_(self, ways: Sequence[Way], position: int) -> None:
        """Score the architectures one by one, each with classifiers of its own."""
        supernet, dataset = self._loaded(self.source.trained()), self.task.dataset
        order = epoch_order(len(dataset.train), seed=derive(self.config.seed, "probe"), epoch=0)
        size = self.config.search.evaluation_batch
        seen = {
            way: evaluation_batches(dataset, subset(dataset.train, order[: way.images]), size=size)
            for way in ways
        }
        weights = class_weights(dataset.train.labels, dataset.num_classes, config=self.config.data)
        for row, genotype in enumerate(self.genotypes):
            keys: dict[Way, Key] = {way: (way.name, MEAN, "own") for way in ways}
            missing = [way for way in ways if row not in self.ledger.known(keys[way])]
            if not missing:
                continue
            with repaired_by(smaller_batches(self.config.search)):
                network = supernet.extract(genotype)
                recalibrate_(network, self.images)
                for way in missing:
                    probe_(network, seen[way], weights=weights)
                    self.ledger.add_(keys[way], [row], [evaluate(network, self.data)])
            self.journal.progress(position + len(ways) * (row + 1) / len(self.genotypes))

    def finetune_(self, ways: Sequence[Way], position: int) -> None:
        """Fine-tune the architectures one by one, and score each at the ends of all these ways."""
        options: dict[str, Any] = {"config": self.config, "task": self.task}
        ends = [stop_steps(way.steps, **options) for way in ways]
        supernet = self._loaded(self.source.trained())
        for row, genotype in enumerate(self.genotypes):
            if all(row in self.ledger.known((way.name, MEAN, "own")) for way in ways):
                continue
            found = {}
            with repaired_by(shorter_tuning(self.config.train)):
                for step, network in finetuned(supernet, genotype, sorted(set(ends)), **options):
                    found[step] = self._both(copy.deepcopy(network))
            for way, end in zip(ways, ends, strict=True):
                for statistics, result in found[end].items():
                    self.ledger.add_((way.name, MEAN, statistics), [row], [result])
            self.journal.progress(position + (row + 1) / len(self.genotypes))

    def _both(self, network: Network) -> dict[Statistics, Evaluation]:
        """Score a network with its running BN statistics, then with recalibrated ones."""
        with repaired_by(smaller_batches(self.config.search)):
            running = evaluate(network, self.data)
            recalibrate_(network, self.images)
            return {"running": running, "own": evaluate(network, self.data)}


@torch.no_grad()
def observe_(supernet: SuperNet, images: Batches[Tensor], *, config: Config, task: Task) -> None:
    """Give the hyper-network the BN statistics that running averages over its paths would have.

    Each batch goes through the architecture of a step of training, the last ones; every layer takes
    the cumulative average over its batches, and one that none reaches keeps mean 0 and variance 1.
    The images are gone through as a whole, again and again.
    """
    track_statistics_(supernet)
    step = 0
    with fresh_statistics(supernet):
        while step < config.rank.shared_statistics_steps:
            for batch in images:
                supernet(batch, task.sampler.genotype(step))
                step += 1


@torch.no_grad()
def evaluate_path(
    supernet: SuperNet, genotype: NDArray[np.int8], data: Batches[Batch]
) -> Evaluation:
    """Classify all batches along one architecture of a hyper-network with BN statistics."""
    tally = Tally()
    for images, labels in data:
        tally.add_(supernet(images, genotype), labels)
    return tally.result()
