"""The ground truth: architectures trained from scratch, shared by the runs that name one folder."""

import dataclasses
import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stnas.config import Config
from stnas.data.epochs import union
from stnas.group.streams import global_stream
from stnas.learn.network_fit import Fit
from stnas.learn.task import Task
from stnas.rank.architectures import repeated
from stnas.space import Genotypes
from stnas.store.checksum import DamagedError, digest
from stnas.store.files import check_origin, forget, read_json, write_json
from stnas.store.journal import Chapter, Journal
from stnas.store.origin import plain
from stnas.supernet import Network

WAIT = 1.0
"""Seconds between two looks at what other processes train."""


@dataclass(frozen=True)
class Training:
    """One architecture, trained once: ``row`` is its place among those that are compared."""

    row: int
    seed: int
    genotype: NDArray[np.int8]
    text: str

    @property
    def name(self) -> str:
        """Return what the training is called in the log."""
        return f"truth-{self.row:02d}-seed-{self.seed}"


class Truth:
    """Trains what is missing in a folder, and gives the accuracies of all.

    Processes that share the folder share the trainings out; each finished one is a file. Trainings
    of other images or with other options lie in folders of their own.
    """

    def __init__(self, config: Config, task: Task, genotypes: Genotypes) -> None:
        options = config.rank
        epochs = options.truth_epochs or config.retrain.epochs
        retrain = dataclasses.replace(config.retrain, epochs=epochs)
        self.config = dataclasses.replace(config, retrain=retrain)
        self.task = task
        self.origin = truth_origin(self.config, task)
        self.folder = Path(options.truth or config.folder / "truth").expanduser() / self.origin
        again = set(repeated(options.repeated, len(genotypes)))
        self.trainings = [
            Training(row, seed, genotype, task.space.format(genotype))
            for seed in range(options.truth_seeds)
            for row, genotype in enumerate(genotypes)
            if seed == 0 or row in again
        ]

    def __len__(self) -> int:
        return len(self.trainings)

    def work_(self, journal: Journal) -> None:
        """Train until nothing is missing but what other processes have in hand."""
        while self._train_one_(self._missing(journal), journal):
            pass

    def complete_(self, journal: Journal) -> list[list[float]]:
        """Train what is missing; return the test accuracies of each architecture, by seed."""
        while missing := self._missing(journal):
            if not self._train_one_(missing, journal):
                time.sleep(WAIT)
        found: dict[int, list[float]] = {}
        for training in self.trainings:
            value = read_json(self._file(training))["accuracy"]
            found.setdefault(training.row, []).append(value)
        return [found[row] for row in sorted(found)]

    def _missing(self, journal: Journal) -> list[Training]:
        return [training for training in self.trainings if not self._known(training, journal)]

    def _file(self, training: Training) -> Path:
        return self.folder / f"{training.text}-seed-{training.seed}.json"

    def _known(self, training: Training, journal: Journal) -> bool:
        """Tell whether a training is done and its file whole; say so where it is not."""
        file = self._file(training)
        if not file.exists():
            return False
        try:
            check_origin(read_json(file), self.origin, file)
        except DamagedError as error:
            journal.say(f"{str(error).partition(': ')[0]}: it is trained again")
            forget(file)
            return False
        return True

    def _train_one_(self, waiting: list[Training], journal: Journal) -> bool:
        """Train the first one that no other process has in hand; False where all are taken."""
        for training in waiting:
            with claimed(self.folder / f".{self._file(training).stem}.lock") as free:
                if free:
                    if not self._file(training).exists():
                        self._train_(training, journal)
                    return True
        return False

    def _train_(self, training: Training, journal: Journal) -> None:
        """Train one architecture and write what it reached."""
        config = dataclasses.replace(self.config, seed=training.seed)
        dataset, file = self.task.dataset, self._file(training)
        split = dataset.train
        if config.retrain.with_validation:
            split = union(dataset.train, dataset.validation)
        with global_stream(training.seed, "retrain", training.text):
            network = Network.build(self.task.space, training.genotype, kernels=config.kernels)
        place = file.with_suffix("")
        fit = Fit(config, dataset, split, network, folder=place, origin=self.origin, watch=())
        position, units = self.trainings.index(training), config.retrain.epochs
        history, seconds = fit.run(Chapter(journal, training.name, position=position, units=units))
        write_json(
            file,
            {
                "genotype": training.text,
                "seed": training.seed,
                "accuracy": history[-1]["accuracy"],
                "seconds": seconds,
                "origin": self.origin,
            },
        )
        fit.saver.drop()
        place.rmdir()


def truth_origin(config: Config, task: Task) -> str:
    """Return 16 digits that mark what determines a training, whatever the hyper-network's seed."""
    data = {name: value for name, value in plain(config.data).items() if name != "path"}
    retrain = {n: v for n, v in plain(config.retrain).items() if n != "random_twins"}
    space, images = dict(task.space.recipe), task.dataset.fingerprint
    return digest(json.dumps([space, images, data, retrain], sort_keys=True).encode())


@contextmanager
def claimed(lock: Path) -> Iterator[bool]:
    """Hold a lock, and tell whether it was free; the file goes when the work is done."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            forget(lock)
