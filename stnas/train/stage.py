"""Train the hyper-network one architecture a step."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from torch import nn

from stnas.config import Config
from stnas.data import describe_split, unequal_classes
from stnas.group.processes import led
from stnas.learn.forecast import forecast
from stnas.learn.gradients import Parts, own_parts
from stnas.learn.heap import keep_pages
from stnas.learn.momentum import Momentum
from stnas.learn.moving_average import MovingAverage
from stnas.learn.single_path import Schedule, SinglePath, falling_rate
from stnas.learn.strategy import Strategy
from stnas.learn.supernet_epoch import steps_per_epoch, train_epoch_
from stnas.learn.task import (
    Check,
    Task,
    build_supernet,
    check_batch,
    check_start,
    prepare,
    shared_space,
)
from stnas.space import SearchSpace
from stnas.store.checkpoint import Saver
from stnas.store.journal import Journal
from stnas.store.names import STATE, WEIGHTS, average_file, checkpoint_file
from stnas.store.results import TrainResult
from stnas.store.run_folder import RunFolder
from stnas.store.tensors import write_tensors
from stnas.supernet.blocks import has_gpu_kernels
from stnas.train.gradient import Bilevel, check_mixed, make
from stnas.train.law import describe_law


def check(config: Config, task: Task) -> None:
    """Raise ValueError where training could not work on these images."""
    own_parts("train", config.train)
    check_batch("train.batch_size", config.train.batch_size, len(task.dataset.train))
    check_mixed(config, task)


def run(config: Config, *, ahead: Sequence[Check] = ()) -> None:
    """Train from the seed's weights, or from the last saved state, to ``weights.safetensors``.

    Beside it lie the weights of the last epochs and moving averages, as the configuration asks.
    ahead: checks of stages that are to follow, made before anything is recorded.
    """
    with RunFolder(config) as folder:
        check_start(folder, "train")
        task = prepare(config)
        for fits in (check, *ahead):
            fits(config, task)
        parts = own_parts("train", config.train)
        stage = folder.begin("train")
        mixes = config.train.mixes
        if mixes:
            keep_pages()
        strategy: Strategy = make(config, task) if mixes else single_path(config, task)
        with (
            Journal(
                folder,
                "train",
                total=config.train.epochs,
                forecast=partial(forecast, config, task),
            ) as journal,
            Saver(
                stage / STATE,
                every=config.save_every,
                origin=folder.origin("train", task.dataset.fingerprint),
                tensors=strategy.state,
            ) as saver,
        ):
            journal.say(describe(config, task) if not mixes else describe_mixed(config, strategy))
            if task.dataset.device.type != "cpu":
                journal.say(describe_kernels(config, task))
            journal.say(describe_split(task.dataset))
            if (warning := unequal_classes(task.dataset, config.data)) is not None:
                journal.say(warning)
            if parts.count > 1:
                journal.say(describe_parts(config, parts))
            if (tensors := saver.resume(journal.say)) is not None:
                strategy.load_(tensors, saver.path)
            keep = partial(led(write_tensors), origin=folder.origin("train"))
            for epoch in train_(strategy, config=config, journal=journal, saver=saver):
                if epoch >= config.train.epochs - config.train.checkpoints:
                    keep(checkpoint_file(stage, epoch), strategy.weights(), epoch=epoch)
                saver.save()
            for average in strategy.averages:
                tensors = average.average(saver.standing.steps)
                keep(average_file(stage, average.decay), tensors, decay=average.decay)
            keep(stage / WEIGHTS, strategy.weights())
            folder.finish("train", summary(config, task, strategy, saver.seconds()))
            saver.drop()


def train_(strategy: Strategy, *, config: Config, journal: Journal, saver: Saver) -> Iterator[int]:
    """Train the epochs that are left, and yield each when it is done."""
    task = strategy.task
    steps = steps_per_epoch(len(task.dataset.train), config.train.batch_size)
    for epoch in range(saver.standing.steps // steps, config.train.epochs):
        train_epoch_(
            strategy, task, config=config, epoch=epoch, journal=journal, shown=epoch, saver=saver
        )
        for line in strategy.remarks():
            journal.say(line)
        yield epoch


def single_path(config: Config, task: Task) -> SinglePath:
    """Make the strategy of the paper with the seed's initial weights."""
    supernet = build_supernet(config, task.space)
    named = dict(supernet.named_parameters())
    return SinglePath(
        supernet,
        task,
        config=config,
        schedule=falling_schedule(config, len(task.dataset.train)),
        averages=[MovingAverage(named, decay) for decay in config.train.ema],
        momentum=momentum_of(config, named),
    )


def momentum_of(config: Config, named: dict[str, nn.Parameter]) -> Momentum | None:
    """Make the momentum of the shared weights; None without one (paper, section 4.1)."""
    train = config.train
    if not train.momentum:
        return None
    return Momentum(named, train.momentum, weight_decay=train.weight_decay)


def falling_schedule(config: Config, images: int) -> Schedule:
    """Make the schedule of the learning rate, without noise (paper, section 4.1)."""
    train = config.train
    rate = falling_rate(train, steps_per_epoch(images, train.batch_size))
    return Schedule(rate, {"weight_decay": train.weight_decay, "mode": "none"})


def describe_parts(config: Config, parts: Parts) -> str:
    """Say how a batch is cut up and shared out."""
    size, processes = config.train.batch_size, parts.count // len(parts.own)
    return (
        f"train: batches of {size} images in {parts.count} parts of {size // parts.count}, each "
        f"with BN statistics of its own; processes: {processes}"
    )


def describe(config: Config, task: Task) -> str:
    """Say in words what is about to be trained on what."""
    space, data = task.space, task.dataset
    spread = space.variance_madds(task.p_drop) ** 0.5
    law = (
        f"train: p_drop {task.p_drop:.3f} gives {space.expected_madds(task.p_drop):,.0f} "
        f"MAdds on average, standard deviation {spread:,.0f}"
    )
    return (
        f"train: {many(space)} on {data.name}, "
        f"{len(data.train):,} images of {data.in_channels}x{data.image_size}x{data.image_size} "
        f"in {data.num_classes} classes, {len(data.validation):,} held out for the search\n"
        f"{law if space.num_topologies > 1 else describe_law(config, task)}"
    )


def describe_mixed(config: Config, strategy: Strategy) -> str:
    """Say in words what a search by gradients is about to train."""
    space, data = strategy.task.space, strategy.task.dataset
    mixture = shared_space(config, space).mixture
    assert mixture is not None
    level = config.sharing.level
    return (
        f"train: {many(space)}, mixed by {config.train.strategy}, on {data.name}, "
        f"{data.num_classes} classes: {len(data.train):,} images move the weights, as many the "
        f"architecture\ntrain: sharing.level {level}: {mixture.madds(level):,} MAdds of an "
        f"image in the hyper-network, {mixture.madds('none'):,} without sharing"
    )


def describe_kernels(config: Config, task: Task) -> str:
    """Say whose operators compute on a GPU."""
    if has_gpu_kernels(task.space, config.kernels):
        return (
            "train: on the GPU kernels of stnas compute blocks, BN and the steps of the weights, "
            "torch's operators stem, tail and joins"
        )
    family = task.space.recipe.get("family", "topology")
    return (
        f"train: on the GPU torch's operators compute all layers: blocks of space.family {family} "
        f"have no kernels of stnas there with kernels {config.kernels}"
    )


def many(space: SearchSpace) -> str:
    """Say how many networks a space has: topologies where edges may be left out."""
    if space.num_topologies > 1:
        return f"{space.num_topologies:,} topologies"
    return f"{space.num_architectures:,} architectures"


def summary(config: Config, task: Task, strategy: Strategy, seconds: float) -> TrainResult:
    """Collect what later stages and the report need to know."""
    space, data = task.space, task.dataset
    cell: dict[str, Any] = {}
    if isinstance(strategy, Bilevel):
        names = ("alpha", "beta")
        pairs = zip(names, strategy.architecture, strict=False)
        cell = {"derived": space.format(strategy.derived())}
        cell |= {name: own.tolist() for name, own in pairs}
    return {
        **cell,  # type: ignore[typeddict-item]
        "seconds": seconds,
        "epochs": config.train.epochs,
        "space": dict(space.recipe),
        "p_drop": task.p_drop,
        "expected_madds": space.expected_madds(task.p_drop),
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "classes": list(data.classes),
            "mean": list(data.mean),
            "std": list(data.std),
            "train": len(data.train),
            "validation": len(data.validation),
            "test": len(data.test),
        },
    }
