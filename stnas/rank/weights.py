"""The weights of each way of scoring, read or made one after the other."""

import dataclasses
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from stnas.config import Config
from stnas.config.rank import WAYS, Way, parse_way
from stnas.learn.sgld_chain import draw_, mean
from stnas.learn.task import Task, build_supernet
from stnas.store.checkpoint import Saver
from stnas.store.files import check_identity, check_origin
from stnas.store.journal import Chapter, Journal
from stnas.store.names import (
    CHAINS,
    STATE,
    WEIGHTS,
    average_file,
    checkpoint_files,
    previous,
    sample_files,
)
from stnas.store.places import forget
from stnas.store.run_folder import RunFolder
from stnas.store.tensors import read_tensors, write_tensors

TRAINED = "trained"
"""Label of the weights that training ended with."""
MEAN = "mean"
"""Label of a mean over weights."""
Weights = dict[str, Tensor]


def chosen_ways(config: Config) -> tuple[list[Way], list[str]]:
    """Return the ways to score by, and why some of the usual ones are left out.

    ValueError: a way that was asked for needs files that training did not keep.
    """
    asked = config.rank.ways
    ways = [parse_way(name) for name in asked or WAYS]
    lacks = {way.name: lack for way in ways if (lack := what_lacks(way, config))}
    if asked and lacks:
        name, lack = next(iter(lacks.items()))
        raise ValueError(
            f"rank.ways {name} needs {lack}: leave it out, or train a run with that option"
        )
    left_out = [f"{name} (needs {lack})" for name, lack in lacks.items()]
    return [way for way in ways if way.name not in lacks], left_out


def what_lacks(way: Way, config: Config) -> str:
    """Say which option of training a way needs that was not given; "": none."""
    train = config.train
    if way.kind == "tail" and min(train.checkpoints, train.epochs) < 2:
        return "train.checkpoints of 2 or more"
    if way.kind == "ema" and way.decay not in train.ema:
        return f"{way.decay} in train.ema"
    return ""


@dataclass(frozen=True)
class WeightSource:
    """Gives the weights of a way, from the run's files or from a chain that it draws."""

    config: Config
    task: Task
    journal: Journal
    run: RunFolder

    @property
    def folder(self) -> Path:
        """Return the folder of the training stage."""
        return self.run.path / "train"

    def read(self, file: Path) -> Weights:
        """Read weights that training kept; DamagedError where they are those of another name."""
        tensors, metadata = read_tensors(file)
        check_origin(metadata, self.run.origin("train"), file)
        files = checkpoint_files(self.folder, self.config)
        epochs = range(self.config.train.epochs)[-len(files) :] if files else ()
        wanted: dict[str, dict[str, object]] = {
            **{f.name: {"epoch": e} for e, f in zip(epochs, files, strict=True)},
            **{average_file(file, d).name: {"decay": d} for d in self.config.train.ema},
        }
        check_identity(metadata, file, **wanted.get(file.name, {}))
        return tensors

    def trained(self) -> Weights:
        """Read the weights that training ended with."""
        return self.read(self.folder / WEIGHTS)

    def labels(self, way: Way) -> list[str]:
        """List the labels of a way's weights; those of ``single`` end with the trained ones."""
        if way.kind == "single":
            earlier = checkpoint_files(self.folder, self.config)[:-1]
            return [*(file.stem for file in earlier), TRAINED]
        if way.kind == "chain":
            files = sample_files(Path(), self.config.sgld.samples)
            return [*(file.stem for file in files[1:]), MEAN]
        return [MEAN]

    def weights(self, way: Way, position: int) -> Iterator[tuple[str, Weights]]:
        """Yield the labels of a way and their weights.

        position: how many pieces of work the stage has behind it.
        """
        if way.kind == "chain":
            yield from self._chain(way, position)
        elif way.kind == "ema":
            yield MEAN, self.read(average_file(self.folder, way.decay))
        elif way.kind == "tail":
            files = checkpoint_files(self.folder, self.config)
            for file in files:
                self.read(file)
            yield MEAN, mean(files)
        else:
            for label in self.labels(way)[:-1]:
                yield label, self.read(self.folder / f"{label}.safetensors")
            yield TRAINED, self.trained()

    def chain_folder(self, way: Way) -> Path:
        """Name the folder of a chain, which is there as long as its scores are not."""
        return self.run.path / "rank" / CHAINS / way.name

    def _chain(self, way: Way, position: int) -> Iterator[tuple[str, Weights]]:
        """Draw a chain from the trained weights, and yield its samples and their mean."""
        sgld = dataclasses.replace(
            self.config.sgld,
            mode=way.mode,
            rho=way.rho,
            learning_rate=way.rate or self.config.sgld.learning_rate,
        )
        config = dataclasses.replace(self.config, sgld=sgld)
        folder, origin = self.chain_folder(way), self.run.origin("rank", way.name)
        files = sample_files(folder, sgld.samples)
        supernet = build_supernet(config, self.task.space)
        with Saver(
            folder / STATE,
            every=config.save_every,
            origin=origin,
            tensors=supernet.state_dict,
        ) as saver:
            write_tensors(files[0], self.trained(), origin=origin)
            log = Chapter(self.journal, way.name, position=position, units=len(files) - 1)
            draw_(supernet, self.task, files, config=config, journal=log, saver=saver)
        for file in files[1:]:
            yield file.stem, read_tensors(file)[0]
        yield MEAN, mean(files)

    def forget(self, way: Way) -> None:
        """Remove the files of a chain whose scores are known, and its folder once it is empty."""
        folder = self.chain_folder(way)
        for file in (*sample_files(folder, self.config.sgld.samples), folder / STATE):
            forget(file)
        forget(folder / previous(STATE))
        with suppress(OSError):
            folder.rmdir()
