"""Score of an architecture under the shared weights (paper, eq. 6, 10 and 11)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import torch
from torch import Tensor

from stnas.config import Config
from stnas.data import FileSplit, Split, epoch_order
from stnas.data.epochs import (
    Batch,
    Batches,
    evaluation_batches,
    subset,
    without_labels,
)
from stnas.group.streams import derive
from stnas.learn.evaluation import Evaluation, Tally
from stnas.learn.heap import release
from stnas.learn.task import Task, build_supernet
from stnas.space import Genotypes
from stnas.store.files import check_identity
from stnas.store.names import MEAN, WEIGHTS, sample_files
from stnas.store.run_folder import RunFolder
from stnas.store.tensors import load_weights_
from stnas.supernet import SuperNet, Trie

Progress = Callable[[float], None]
"""Told what share of the work is done."""


def weight_files(config: Config, run: Path) -> list[Path]:
    """List the weights that a way of scoring averages over."""
    if config.search.score == "single":
        return [run / "train" / WEIGHTS]
    if config.search.score == "param_avg":
        return [run / "sgld" / MEAN]
    return sample_files(run / "sgld", config.sgld.samples)


def shared_weights(config: Config, task: Task, run: RunFolder) -> list[SuperNet]:
    """Load the hyper-network once for each of the weights that are averaged over."""
    supernets = []
    count = config.sgld.samples
    for number, file in enumerate(weight_files(config, run.path)):
        supernets.append(build_supernet(config, task.space))
        found = load_weights_(supernets[-1], file, origin=run.origin(file.parent.name))
        wanted = {"score_avg": {"sample": number}, "param_avg": {"samples": count}}
        check_identity(found, file, **wanted.get(config.search.score, {}))
    return supernets


def recalibration_images(config: Config, task: Task) -> Batches[Tensor]:
    """Pick the fixed training images that every candidate's BN statistics are computed on."""
    split, search = task.dataset.train, config.search
    order = epoch_order(len(split), seed=derive(config.seed, "recalibration"), epoch=0)
    rows = order[: search.recalibration_images]
    if len(rows) % search.recalibration_batch == 1:  # One image alone may have no variance.
        rows = rows[:-1]
    chosen = subset(split, rows)
    return without_labels(evaluation_batches(task.dataset, chosen, size=search.recalibration_batch))


def calibrated_trie(
    supernet: SuperNet, genotypes: Genotypes, images: Iterable[Tensor], *, tick: Callable[[], None]
) -> Trie:
    """Compute the BN statistics of architectures ``[n, genes]`` together.

    They are those of each cut out and recalibrated alone, bit for bit. tick: called after each
    batch.
    """
    trie = Trie(supernet, genotypes)
    for number, batch in enumerate(images, start=1):
        trie.observe_(batch, momentum=1.0 / number)
        tick()
    return trie


class Scorer:
    """Scores architectures under one or more hyper-networks; a mean over them.

    bound: standard deviations over the hyper-networks that are taken off the mean. A score is bit
    for bit that of the architecture alone: each is recalibrated on ``images`` and
    evaluated on ``data``, but what several have in common is computed once.
    """

    def __init__(
        self,
        supernets: list[SuperNet],
        images: Batches[Tensor],
        data: Batches[Batch],
        *,
        bound: float = 0.0,
    ) -> None:
        self.supernets, self.images, self.data, self.bound = supernets, images, data, bound

    def on(self, data: Batches[Batch]) -> "Scorer":
        """Return the same scorer on other data; the weights are not loaded again."""
        return Scorer(self.supernets, self.images, data, bound=self.bound)

    def __call__(
        self, genotypes: Genotypes, *, progress: Progress | None = None
    ) -> list[Evaluation]:
        """Score architectures ``[n, genes]``, in order."""
        total, done = len(self.supernets) * (len(self.images) + len(self.data)), 0

        def tick() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done / total)

        results = [self._under(supernet, genotypes, tick) for supernet in self.supernets]
        return [bounded(scores, self.bound) for scores in zip(*results, strict=True)]

    @torch.inference_mode()
    def _under(
        self, supernet: SuperNet, genotypes: Genotypes, tick: Callable[[], None]
    ) -> list[Evaluation]:
        trie = calibrated_trie(supernet, genotypes, self.images, tick=tick)
        tallies = {leaf: Tally() for leaf in trie.leaves}
        for batch, labels in self.data:
            for leaf, logits in trie.logits(batch):
                tallies[leaf].add_(logits, labels)
            tick()
        release()
        return [tallies[leaf].result() for leaf in trie.leaves]


def bounded(results: Sequence[Evaluation], bound: float) -> Evaluation:
    """Average the scores of one architecture under several hyper-networks.

    bound: standard deviations ``sqrt(sum (x - mean)^2 / (K - 1))`` that both accuracies are lowered
    and loss is raised by.
    """
    accuracies, losses = [r.accuracy for r in results], [r.loss for r in results]
    balanced = [r.balanced_accuracy for r in results]
    recalls = tuple(
        None if None in column else fmean(column)
        for column in zip(*(r.recalls for r in results), strict=True)
    )
    mean = Evaluation(fmean(accuracies), fmean(losses), fmean(balanced), recalls)
    if not bound:
        return mean
    return replace(
        mean,
        accuracy=mean.accuracy - bound * stdev(accuracies),
        loss=mean.loss + bound * stdev(losses),
        balanced_accuracy=mean.balanced_accuracy - bound * stdev(balanced),
    )


def scorer(config: Config, task: Task, run: RunFolder, *, split: Split | FileSplit) -> Scorer:
    """Return what scores architectures ``[n, genes]`` on a split.

    ``param_avg``: ``Acc(m, mean_k theta_k)``; ``score_avg``: ``mean_k Acc(m, theta_k)``;
    ``single``: ``Acc(m, theta_T)``. A score depends on the architecture alone.
    """
    return Scorer(
        shared_weights(config, task, run),
        recalibration_images(config, task),
        evaluation_batches(task.dataset, split, size=config.search.evaluation_batch),
        bound=config.search.bound,
    )
