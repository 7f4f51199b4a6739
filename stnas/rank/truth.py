"""The ground truth: architectures trained from scratch, shared by the runs that name one folder."""

import dataclasses
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnas.config import Config
from stnas.config.settling import settled
from stnas.learn.network_fit import Fit
from stnas.learn.task import Task, build_network, training_images
from stnas.rank.architectures import repeated
from stnas.space import Genotypes
from stnas.store.checksum import DamagedError, digest
from stnas.store.files import check_identity, check_origin, make_folder, read_json, write_json
from stnas.store.journal import Chapter, Journal
from stnas.store.lock import Lock
from stnas.store.names import STATE, TRUTH, previous, truth_file
from stnas.store.origin import FREE, mark, plain, reduced
from stnas.store.places import forget, sweep
from stnas.store.rows import TrainingRow, typed_row

FIRST = (
    (
        "validation", "split_seed", "train_limit", "test_limit", "image_size", "backend",
        "decoder", "resize", "crop_scale", "workers", "broken", "crop_padding", "flip", "jitter",
    ),
    (
        "epochs", "batch_size", "micro_batches", "sync_batch_norm", "precision", "learning_rate",
        "warmup_epochs", "momentum", "weight_decay", "with_validation",
    ),
)  # fmt: skip
"""Options of the sections data and retrain that marks of version 1 are made of."""
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
        shared = Path(options.truth or config.folder / TRUTH).expanduser()
        self.origin = truth_origin(self.config, task, shared)
        self.folder = shared / self.origin
        sweep(self.folder)
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
        return truth_file(self.folder, training.text, training.seed)

    def _known(self, training: Training, journal: Journal) -> bool:
        """Tell whether a training is done and its file whole; say so where it is not."""
        file = self._file(training)
        if not file.exists():
            return False
        try:
            check_training(read_json(file), training, self.origin, file)
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
        file = self._file(training)
        place = file.with_suffix("")
        fit = Fit(
            config,
            self.task.dataset,
            training_images(config, self.task),
            build_network(config, self.task.space, training.genotype, training.text),
            name=place.name,
            folder=place,
            origin=self.origin,
            watch=(),
        )
        position, units = self.trainings.index(training), config.retrain.epochs
        history, seconds = fit.run(Chapter(journal, training.name, position=position, units=units))
        reached: TrainingRow = {
            "genotype": training.text,
            "seed": training.seed,
            "accuracy": history[-1]["accuracy"],
            "seconds": seconds,
            "origin": self.origin,
        }
        write_json(file, reached)
        fit.saver.drop()
        for name in (previous(STATE), STATE):  # One that could not be removed is tried again.
            (place / name).unlink(missing_ok=True)
        place.rmdir()


def check_training(found: dict[str, Any], training: Training, origin: str, file: Path) -> None:
    """Raise DamagedError unless a file tells of one training, of these images and options."""
    check_origin(found, origin, file)
    typed_row(TrainingRow, found, file)
    check_identity(found, file, genotype=training.text, seed=training.seed)


def truth_origin(config: Config, task: Task, shared: Path) -> str:
    """Return 16 digits that mark what determines a training, whatever the hyper-network's seed.

    shared: where what was trained lies; under the mark of version 1 it is found, too.
    """
    settings = dataclasses.replace(config, data=settled(config.data))
    space, images = dict(task.space.recipe), task.dataset.fingerprint
    sections = {name: plain(getattr(settings, name)) for name in ("kernels", "data", "retrain")}
    own = mark(space, images, reduced(sections, (*FREE, "retrain.random_twins")))
    if (shared / own).exists() or reduced({"kernels": config.kernels}):
        return own
    first = first_mark(config, space, images)
    return first if (shared / first).exists() else own


def first_mark(config: Config, space: dict[str, Any], images: str) -> str:
    """Return the mark of version 1, of the options that there were then."""
    data, retrain = plain(config.data), plain(config.retrain)
    parts = [
        {name: part[name] for name in names}
        for part, names in zip((data, retrain), FIRST, strict=True)
    ]
    return digest(json.dumps([space, images, *parts], sort_keys=True).encode())


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Hold a lock, and tell whether it was free; the file goes when the work is done."""
    make_folder(path.parent)
    lock = Lock(path)
    free = lock.take() is None
    try:
        yield free
    finally:
        if free:
            lock.release(remove=True)
