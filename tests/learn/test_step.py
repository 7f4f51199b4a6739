"""A step is the one of its formula: decay, momentum, rate and dropout have their effects."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor

from stnas import train
from stnas.config import Config
from stnas.learn.network_fit import Fit
from stnas.learn.single_path import train_step_
from stnas.learn.task import build_supernet, prepare
from stnas.rank.finetuning import finetuned
from stnas.store.tensors import read_tensors
from stnas.supernet import Network

DECAY = 0.125
STILL = 1e-30
"""A learning rate that moves no weight by a bit."""
Weights = dict[str, Tensor]


def one_step(config: Config, **options: Any) -> Config:
    """Let an epoch be one step on all training images, and change the stages that train."""
    sections = {
        name: replace(getattr(config, name), batch_size=432, epochs=1, **more)
        for name, more in options.items()
    }
    return replace(config, **sections)


def trained(config: Config, rate: float, decay: float) -> Weights:
    """Train the hyper-network for one step; return its weights."""
    options = {"learning_rate": rate, "final_learning_rate": 0.0, "weight_decay": decay}
    config = one_step(config, train=options)
    train.run(config)
    return read_tensors(Path(config.run) / "train/weights.safetensors")[0]


def fitted(config: Config, rate: float, decay: float) -> Weights:
    """Train a network from scratch for one step; return its parameters."""
    options = {"learning_rate": rate, "weight_decay": decay, "warmup_epochs": 0.0}
    config = one_step(config, retrain={**options, "with_validation": False, "momentum": 0.75})
    fit = fit_of(config)
    fit.run(Mock())
    return dict(fit.network.named_parameters())


def tuned(config: Config, rate: float, decay: float) -> Weights:
    """Fine-tune an architecture for one step; return its parameters."""
    config = one_step(config, train={"weight_decay": decay})
    config = replace(config, rank=replace(config.rank, finetune_learning_rate=rate))
    task = prepare(config)
    supernet = build_supernet(config, task.space)
    ((_, network),) = finetuned(supernet, task.sampler.genotype(0), [1], config=config, task=task)
    return dict(network.named_parameters())


def fit_of(config: Config) -> Fit:
    """Begin to train an architecture from scratch."""
    task = prepare(config)
    torch.manual_seed(0)
    network = Network.build(task.space, task.sampler.genotype(0), kernels=config.kernels)
    folder = Path(config.run) / "A"
    return Fit(
        config, task.dataset, task.dataset.train, network, name="A", folder=folder, origin=""
    )


@pytest.mark.parametrize(
    ("step", "factor"),
    [(trained, 1.0), (fitted, 1.75), (tuned, 1.0)],
    ids=["train", "retrain", "finetune"],
)
def test_weight_decay_moves_every_weight_by_its_share(
    tiny_config: Config, tmp_path: Path, step: Callable[..., Weights], factor: float
) -> None:
    """The first step is ``w - a (1 + m) (g + d w)`` with Nesterov's momentum m (0: plain SGD)."""
    runs = iter("abc")

    def run(rate: float, decay: float) -> Weights:
        return step(replace(tiny_config, run=str(tmp_path / next(runs))), rate, decay)

    start, without, decayed = run(STILL, 0.0), run(0.25, 0.0), run(0.25, DECAY)
    moved = [name for name, value in start.items() if not torch.equal(value, without[name])]
    assert len(moved) > 10
    for name in moved:
        expected = without[name].double() - 0.25 * factor * DECAY * start[name].double()
        torch.testing.assert_close(decayed[name].double(), expected, rtol=1e-5, atol=2e-6)


def losses(config: Config, take: Callable[[Config], Callable[[int], float]]) -> list[float]:
    """Return the losses of steps 0, 1 and 0 again on the same images with weights that stay."""
    step = take(config)
    return [step(number) for number in (0, 1, 0)]


def step_of_training(config: Config) -> Callable[[int], float]:
    task = prepare(config)
    supernet, split = build_supernet(config, task.space), task.dataset.train
    options: dict[str, Any] = {"lr": STILL, "weight_decay": 0.0, "mode": "none", "seed": 5}
    images, labels = split.images[:64].float() / 255, split.labels[:64]
    genotype = task.sampler.genotype(0)
    return lambda n: train_step_(supernet, genotype, images, labels, step=n, **options)[0]


def step_of_retraining(config: Config) -> Callable[[int], float]:
    fit, split = fit_of(config), prepare(config).dataset.train
    images, labels = split.images[:64].float() / 255, split.labels[:64]
    return lambda n: fit.step_(images, labels, rate=STILL, step=n)


@pytest.mark.parametrize("take", [step_of_training, step_of_retraining])
def test_dropout_is_drawn_anew_at_every_step_and_alike_at_the_same(
    tiny_config: Config, take: Callable[[Config], Callable[[int], float]]
) -> None:
    spaces = [replace(tiny_config.space, dropout=rate) for rate in (0.0, 0.5)]
    off, on = (losses(replace(tiny_config, space=space), take) for space in spaces)
    assert off[0] == off[1] == off[2]
    assert on[0] == on[2] != on[1]
    assert off[0] not in on
