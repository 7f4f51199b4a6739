"""Train hyper-networks of the quickstart's space in many ways: which way ranks networks best.

    nice python benchmarks/sharing_study.py truth --fashion FOLDER
    nice python benchmarks/sharing_study.py short
    nice python benchmarks/sharing_study.py shared --seeds 2

The truth: networks of 300 thousand multiply-adds, drawn as ``space_study.py`` draws them, two
trainings each, judged on the 10,000 test images of FOLDER (Fashion-MNIST as IDX files). Short
trainings are on the training images alone, judged by the held-out ones, as a verdict does. The
scores: their loss on the held-out images under shared weights that were trained with one cause
changed at a time. A training that ends adds a row to ``results/sharing_truth.csv``,
``sharing_short.csv`` or ``sharing_scores.csv``, and the same command goes on;
``sharing_tables.py`` makes the tables of docs/search-value.md. Seeds begin at 100: those below
are left for the runs that are reported.
"""

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from record import known, machine, save
from scratch_training import Recipe, of_size, trained, training_batch
from torch import Tensor, nn
from torch.nn import functional

from stnas.config.data import DataConfig
from stnas.config.space import Merge
from stnas.data import Dataset, epoch_order, eval_batch
from stnas.data import load as load_images
from stnas.data.epochs import Batch
from stnas.group.streams import derive, global_stream, torch_generator
from stnas.learn.evaluation import Evaluation, evaluate, recalibrate_
from stnas.learn.scoring import Scorer
from stnas.learn.single_path import cosine
from stnas.rank.probe import probe_
from stnas.space import Genotype, Genotypes, SearchSpace
from stnas.space.sampling import Sampler, make_sampler
from stnas.supernet import Network, SuperNet

TRUTH, SHORT, SCORES = "sharing_truth", "sharing_short", "sharing_scores"
SIZE, NETWORKS, TRUTH_SEEDS = 300_000, 60, (100, 101)
LIMITS = (300_000, 600_000)
SHORT_SEED, SHORT_EPOCHS = 102, (5, 2, 15)
RECIPE = Recipe(weight_decay=5e-4, dropout=0.0)


@dataclass(frozen=True)
class Sharing:
    """How shared weights are trained. The defaults are those of the recipe ``quickstart``.

    sampling: a kind of ``make_sampler``, or ``windows``: networks of half of a limit up to the
    limit, each limit alike. paths: architectures a step, whose mean gradient moves the weights;
    sandwich: the smallest and the largest beside them; distill: all but the largest learn from it.
    momentum: of the active tensors alone (Nesterov). warmup: epochs in which the rate rises.
    recalibration: images. probe: images that a classifier of each network's own is fitted to before
    it is scored; 0: none. merge: how the edges of a node join in the hyper-network; the networks of
    the truth add them.
    """

    epochs: int = 40
    batch: int = 32
    learning_rate: float = 0.5
    momentum: float = 0.0
    weight_decay: float = 1e-4
    sampling: str = "p_drop"
    p_drop: float = 0.9
    affine: bool = False
    paths: int = 1
    sandwich: bool = False
    distill: bool = False
    smoothing: float = 0.0
    warmup: int = 0
    recalibration: int = 1000
    probe: int = 0
    merge: Merge = "sum"


BASE = Sharing()
WAYS = {
    "quickstart": BASE,
    "windows": replace(BASE, sampling="windows"),
    "p_drop 1": replace(BASE, p_drop=1.0),
    "momentum 0.9, rate 0.05": replace(BASE, momentum=0.9, learning_rate=0.05),
    "120 epochs": replace(BASE, epochs=120),
    "affine": replace(BASE, affine=True),
    "2 paths, 20 epochs": replace(BASE, paths=2, epochs=20),
    "sandwich, 13 epochs": replace(BASE, sandwich=True, epochs=13),
    "sandwich and distillation, 13 epochs": replace(BASE, sandwich=True, distill=True, epochs=13),
    "rate 0.2": replace(BASE, learning_rate=0.2),
    "rate 1": replace(BASE, learning_rate=1.0),
    "batch 64": replace(BASE, batch=64),
    "windows, momentum 0.9, rate 0.05": replace(
        BASE, sampling="windows", momentum=0.9, learning_rate=0.05
    ),
    "windows, 120 epochs": replace(BASE, sampling="windows", epochs=120),
    "p_drop 0.6": replace(BASE, p_drop=0.6),
    "fair": replace(BASE, sampling="fair"),
    "bins": replace(BASE, sampling="bins"),
    "4 paths, 10 epochs": replace(BASE, paths=4, epochs=10),
    "decay 5e-4": replace(BASE, weight_decay=5e-4),
    "smoothing 0.1": replace(BASE, smoothing=0.1),
    "10 epochs": replace(BASE, epochs=10),
    "edges averaged": replace(BASE, merge="mean"),
    "statistics by in-degree": replace(BASE, merge="shadow"),
    "warm-up of 4 epochs": replace(BASE, warmup=4),
    "250 images recalibrate": replace(BASE, recalibration=250),
    "4,000 images recalibrate": replace(BASE, recalibration=4000),
    "probe of 3,000 images": replace(BASE, probe=3000),
}


def quickstart_space(data: Dataset, merge: Merge = "sum") -> SearchSpace:
    """Return the space of the recipe ``quickstart``, or one whose edges join otherwise."""
    return SearchSpace.profile(
        "micro",
        stem_stride=2,
        residual="all",
        merge=merge,
        stages=(2, 2, 2),
        widths=(8, 16, 32),
        expands=(1, 3, 6),
        dropout=0.0,
        image_size=data.image_size,
        in_channels=data.in_channels,
        num_classes=data.num_classes,
    )


class Windows:
    """Draws networks near the limits: of half of a limit up to it, the limits in turn."""

    def __init__(self, space: SearchSpace, limits: tuple[int, ...], *, seed: int) -> None:
        """Draw a thousand networks below each limit."""
        self.pools = [pool(space, limit, seed=derive(seed, limit)) for limit in limits]
        self.seed = seed

    def genotype(self, step: int) -> Genotype:
        """Return the genotype of a step."""
        own = self.pools[step % len(self.pools)]
        generator = torch_generator(self.seed, "pool", step)
        return own[int(torch.randint(len(own), (1,), generator=generator))]


def pool(space: SearchSpace, limit: int, *, seed: int) -> Genotypes:
    """Draw different networks of half of a limit up to it, with p_drop 0.7 to 1."""
    found: list[Genotypes] = []
    for i, p_drop in enumerate((1.0, 0.9, 0.8, 0.7) * 4):
        drawn = space.sample(4096, p_drop=p_drop, seed=derive(seed, i))
        madds = space.madds(drawn)
        found.append(drawn[(madds <= limit) & (madds > limit / 2)])
    return np.unique(np.concatenate(found), axis=0)


def sampler(space: SearchSpace, way: Sharing, seed: int) -> Sampler:
    """Return what draws the architectures of a way."""
    if way.sampling == "windows":
        return Windows(space, LIMITS, seed=seed)
    return make_sampler(space, way.sampling, p_drop=way.p_drop, seed=seed)  # type: ignore[arg-type]


def ends(space: SearchSpace) -> tuple[Genotype, Genotype]:
    """Return the architectures with the least and the most multiply-adds, without skips."""
    small, large = [], []
    for gene, costs in zip(space.genes, space.costs["madds"].table, strict=True):
        known = np.asarray(costs)[: len(gene.choices)]
        small.append(0 if gene.optional else int(np.argmin(known)))
        large.append(int(np.argmax(known)))
    return np.array(small, np.int8), np.array(large, np.int8)


def step_(
    supernet: SuperNet,
    parameters: list[nn.Parameter],
    momenta: dict[int, Tensor],
    active: list[int],
    way: Sharing,
    rate: float,
) -> None:
    """Move the active tensors: SGD with Nesterov's momentum, whose buffers rest with the tensor."""
    numbers = [i for i in active if parameters[i].grad is not None]
    values = [parameters[i].data for i in numbers]
    gradients = [parameters[i].grad for i in numbers]
    torch._foreach_add_(gradients, values, alpha=way.weight_decay)
    if way.momentum:
        own = [momenta.setdefault(i, torch.zeros_like(parameters[i])) for i in numbers]
        torch._foreach_mul_(own, way.momentum)
        torch._foreach_add_(own, gradients)
        torch._foreach_add_(gradients, own, alpha=way.momentum)
    torch._foreach_add_(values, gradients, alpha=-rate)
    for i in numbers:
        parameters[i].grad = None


def rate_of(way: Sharing, step: int, steps: int) -> float:
    """Return the rate of a step: a linear warm-up, then a cosine; steps: those of an epoch."""
    warmup = way.warmup * steps
    if step < warmup:
        return way.learning_rate * (step + 1) / warmup
    whole = way.epochs * steps - warmup
    return cosine(step - warmup, steps=whole, start=way.learning_rate, end=2.5e-4)


def shared_weights(
    data: Dataset, space: SearchSpace, way: Sharing, seed: int, recipe: Recipe = RECIPE
) -> SuperNet:
    """Train shared weights one way, on images cut as the recipe says."""
    with global_stream(seed, "weights"):
        supernet = SuperNet(space, affine=way.affine)
    draws = sampler(space, way, derive(seed, "architecture"))
    parameters, momenta = list(supernet.parameters()), dict[int, Tensor]()
    steps, (small, large) = len(data.train) // way.batch, ends(space)
    supernet.train()
    for step in range(way.epochs * steps):
        epoch, i = divmod(step, steps)
        if i == 0:
            order = epoch_order(len(data.train), seed=derive(seed, "order"), epoch=epoch)
        rows = order[i * way.batch : (i + 1) * way.batch]
        images, labels = training_batch(
            data, data.train, rows, recipe, torch_generator(seed, "augment", step)
        )
        drawn = [draws.genotype(step * way.paths + k) for k in range(way.paths)]
        genotypes = [large, small, *drawn] if way.sandwich else drawn
        teacher = None
        for genotype in genotypes:
            logits = supernet(images, genotype)
            target = labels if teacher is None else teacher
            loss = functional.cross_entropy(logits, target, label_smoothing=way.smoothing)
            if way.distill and teacher is None:
                teacher = logits.detach().softmax(1)
            (loss / len(genotypes)).backward()  # type: ignore[no-untyped-call]
        active = sorted({i for g in genotypes for i in supernet.active_parameters(g)})
        rate = rate_of(way, step, steps)
        step_(supernet, parameters, momenta, active, way, rate)
    return supernet


def scores(data: Dataset, supernet: SuperNet, genotypes: Genotypes, way: Sharing) -> dict[str, str]:
    """Return losses and accuracies on the held-out images, as lists in JSON."""
    order = epoch_order(len(data.train), seed=0, epoch=0)
    count = max(way.recalibration, way.probe)
    sub, mean, std = data.train.take(order[:count]), data.mean, data.std
    seen = [eval_batch(sub, i, i + 250, mean=mean, std=std) for i in range(0, count, 250)]
    images = [batch for batch, _ in seen[: way.recalibration // 250]]
    held = data.validation
    own = [eval_batch(held, i, i + 240, mean=mean, std=std) for i in range(0, len(held), 240)]
    if way.probe:
        found = [
            probed(supernet.extract(g), images, seen[: way.probe // 250], own) for g in genotypes
        ]
    else:
        found = Scorer([supernet], images, own)(genotypes)
    return {
        "loss": json.dumps([round(f.loss, 5) for f in found]),
        "accuracy": json.dumps([round(f.accuracy, 5) for f in found]),
    }


def probed(
    network: Network, images: list[Tensor], seen: list[Batch], held: list[Batch]
) -> Evaluation:
    """Score a network with BN statistics and a classifier of its own."""
    recalibrate_(network, images)
    probe_(network, seen)
    return evaluate(network, held)


def make_truth(fashion: Path) -> None:
    """Train every network alone, once a seed."""
    data = load_images(DataConfig(path="embedded"), seed=0)
    space = quickstart_space(data)
    tests = {"test": data.test, "test10k": load_images(DataConfig(path=str(fashion)), seed=0).test}
    split, rows = data.train.joined(data.validation), known(TRUTH)  # type: ignore[arg-type]
    done = {(int(row["network"]), int(row["seed"])) for row in rows}
    for seed in TRUTH_SEEDS:
        for number, genotype in enumerate(of_size(space, SIZE, NETWORKS, seed=100)):
            if (number, seed) in done:
                continue
            with global_stream(seed, "weights", number):
                network = Network.build(space, genotype)
            found = trained(network, data, split, RECIPE, seed=seed, tests=tests)
            about = {"network": number, "seed": seed, "genotype": space.format(genotype)}
            sizes = {
                "madds": int(space.madds(genotype[None])[0]),
                "params": int(space.params(genotype[None])[0]),
            }
            rows.append({**about, **sizes, **{k: f"{v:.5g}" for k, v in found.items()}})
            save(TRUTH, rows, machine())
            print(number, seed, rows[-1]["test10k_accuracy"], flush=True)


def make_short() -> None:
    """Train every network on the training images alone, for a few epochs."""
    data = load_images(DataConfig(path="embedded", validation=0.2), seed=0)
    space, rows = quickstart_space(data), known(SHORT)
    done = {(row["genotype"], int(row["epochs"])) for row in rows}
    for epochs in SHORT_EPOCHS:
        recipe = replace(RECIPE, epochs=epochs, warmup=min(1.0, epochs / 4))
        for genotype in of_size(space, SIZE, NETWORKS, seed=100):
            text = space.format(genotype)
            if (text, epochs) in done:
                continue
            with global_stream(SHORT_SEED, "weights", text):
                network = Network.build(space, genotype)
            tests = {"held_out": data.validation}
            found = trained(network, data, data.train, recipe, seed=SHORT_SEED, tests=tests)
            about = {"genotype": text, "epochs": epochs, "seed": SHORT_SEED}
            rows.append({**about, **{key: f"{value:.5g}" for key, value in found.items()}})
            save(SHORT, rows, machine())


def score(seeds: list[int], ways: list[str]) -> None:
    """Train every way's shared weights and score the networks of the truth."""
    data = load_images(DataConfig(path="embedded", validation=0.2), seed=0)
    space = quickstart_space(data)
    genotypes, rows = of_size(space, SIZE, NETWORKS, seed=100), known(SCORES)
    done = {(row["way"], int(row["seed"])) for row in rows}
    for seed in seeds:
        for name in ways:
            if (name, seed) in done:
                continue
            begin = time.process_time()
            own = quickstart_space(data, WAYS[name].merge)
            supernet = shared_weights(data, own, WAYS[name], seed)
            seconds = time.process_time() - begin
            about = {"way": name, "seed": seed, "seconds": f"{seconds:.0f}"}
            rows.append({**about, **scores(data, supernet, genotypes, WAYS[name])})
            save(SCORES, rows, machine())
            print(name, seed, about["seconds"], flush=True)


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("part", choices=("truth", "short", "shared"))
    parser.add_argument("--fashion", type=Path, help="folder of Fashion-MNIST, for the truth")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--ways", nargs="*", default=list(WAYS))
    options = parser.parse_args()
    if options.part == "truth":
        make_truth(options.fashion)
    elif options.part == "short":
        make_short()
    else:
        seeds = list(range(options.first, options.first + options.seeds))
        score(seeds, options.ways)


if __name__ == "__main__":
    main()
