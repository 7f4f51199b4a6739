"""Score of an architecture under the shared weights (paper, eq. 6, 10 and 11)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stnas.config import Config
from stnas.data import Split, epoch_order
from stnas.engine.evaluation import Evaluation, evaluate, recalibrate_
from stnas.engine.files import load_weights_
from stnas.engine.images import evaluation_batches, subset
from stnas.engine.materials import Materials, build_supernet
from stnas.engine.randomness import derive
from stnas.supernet import Network, SuperNet

Score = Callable[[NDArray[np.int8]], Evaluation]


def weight_files(config: Config, run: Path) -> list[Path]:
    """List the weights that a way of scoring averages over."""
    if config.search.score == "single":
        return [run / "train" / "weights.safetensors"]
    if config.search.score == "param_avg":
        return [run / "sgld" / "mean.safetensors"]
    return [run / "sgld" / f"sample-{k:03d}.safetensors" for k in range(config.sgld.samples)]


def shared_weights(config: Config, materials: Materials, run: Path) -> list[SuperNet]:
    """Load the hyper-network once for each of the weights that are averaged over."""
    supernets = []
    for file in weight_files(config, run):
        supernets.append(build_supernet(config, materials.space))
        load_weights_(supernets[-1], file)
    return supernets


def recalibration_images(config: Config, materials: Materials) -> list[Tensor]:
    """Pick the fixed training images that every candidate's BN statistics are computed on."""
    split, search = materials.dataset.train, config.search
    order = epoch_order(len(split), seed=derive(config.seed, "recalibration"), epoch=0)
    chosen = subset(split, order[: search.recalibration_images])
    batches = evaluation_batches(materials.dataset, chosen, size=search.recalibration_batch)
    return [images for images, _ in batches if len(images) > 1]


def calibrated(supernet: SuperNet, genotype: NDArray[np.int8], images: list[Tensor]) -> Network:
    """Cut out a network with BN statistics of its own."""
    network = supernet.extract(genotype)
    recalibrate_(network, images)
    return network


def scorer(config: Config, materials: Materials, run: Path, *, split: Split) -> Score:
    """Return the function that scores a genotype ``[genes]`` on a split.

    ``param_avg``: ``Acc(m, mean_k theta_k)``; ``score_avg``: ``mean_k Acc(m, theta_k)``;
    ``single``: ``Acc(m, theta_T)``. A score depends on the genotype alone: BN statistics live in
    the network that is cut out for it.
    """
    supernets = shared_weights(config, materials, run)
    images = recalibration_images(config, materials)
    data = evaluation_batches(materials.dataset, split, size=config.search.evaluation_batch)

    def score(genotype: NDArray[np.int8]) -> Evaluation:
        results = [evaluate(calibrated(net, genotype, images), data) for net in supernets]
        return Evaluation(
            accuracy=sum(result.accuracy for result in results) / len(results),
            loss=sum(result.loss for result in results) / len(results),
        )

    return score
