"""Trainings of candidates that stop at every rung, and go on from there if they are to."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from stnas.config import Config
from stnas.group.processes import current
from stnas.learn.network_fit import Fit
from stnas.learn.supernet_epoch import steps_per_epoch
from stnas.learn.task import Task, build_network
from stnas.store.checksum import DamagedError
from stnas.store.files import check_identity, check_origin, read_json, write_json
from stnas.store.journal import Chapter, Journal
from stnas.store.names import STATE, previous, rung_file
from stnas.store.places import forget
from stnas.store.rows import JudgedRow, typed_row
from stnas.verdict.contest import Row
from stnas.verdict.halving import restarted_rate


class Silent(Chapter):
    """A piece of work whose epochs are shown while it lasts, and not recorded."""

    def record(self, index: int, **numbers: float) -> None:
        """Leave the numbers out."""


class Trainings:
    """Trains architectures on the training images and judges them on the held-out ones.

    ends: epochs after which the rungs end. Every training that has reached a rung is a file in
    ``folder/<genotype>/``; beside it lies the state from which the next rung goes on. Processes
    of a group share the trainings out; each is done as if by one process, so who does it changes
    nothing.
    """

    def __init__(
        self,
        config: Config,
        task: Task,
        folder: Path,
        *,
        ends: list[int],
        origin: str,
        journal: Journal,
    ) -> None:
        options = config.retrain
        if options.sync_batch_norm:  # One process has the statistics of the whole batch anyway.
            options = replace(options, sync_batch_norm=False, micro_batches=1)
        self.config = replace(config, retrain=options)
        self.task, self.folder, self.ends, self.origin = task, folder, ends, origin
        self.journal = journal
        steps = steps_per_epoch(len(task.dataset.train), options.batch_size)
        self.rate = partial(restarted_rate, config, steps=steps, ends=ends)

    def judged(self, texts: list[str], rung: int) -> list[Row]:
        """Bring trainings to the end of a rung; return what each is judged with."""
        known = current().first(lambda: [self._known(text, rung) for text in texts])
        missing = [text for text, row in zip(texts, known, strict=True) if row is None]
        made = current().share(len(missing), lambda i: self._train(missing[i], rung, i))
        found = dict(zip(missing, made, strict=True))
        return [found[text] if row is None else row for text, row in zip(texts, known, strict=True)]

    def drop_(self, texts: list[str]) -> None:
        """Remove the states of trainings that do not go on."""
        for text in texts:
            for name in (previous(STATE), STATE):
                current().first(partial(forget, self.folder / text / name))

    def _file(self, text: str, rung: int) -> Path:
        return rung_file(self.folder, text, rung)

    def _known(self, text: str, rung: int) -> Row | None:
        """Read what a training was judged with; say so where the file is damaged."""
        file = self._file(text, rung)
        if not file.exists():
            return None
        try:
            row = read_json(file)
            check_origin(row, self.origin, file)
            typed_row(JudgedRow, row, file)
            check_identity(row, file, genotype=text, rung=rung)
        except DamagedError as error:
            self.journal.say(f"{str(error).partition(': ')[0]}: it is trained again")
            return None
        return row

    def _train(self, text: str, rung: int, position: int) -> Row:
        """Train one architecture to the end of a rung, and write what it reached."""
        genotype, dataset = self.task.space.parse(text), self.task.dataset
        network = build_network(self.config, self.task.space, genotype, text)
        fit = Fit(
            self.config,
            dataset,
            dataset.train,
            network,
            name=text,
            folder=self.folder / text,
            origin=self.origin,
            rate=self.rate,
            judge=dataset.validation,
            watch=self.ends,
        )
        end = self.ends[rung]
        log = Silent(self.journal, text, position=position, units=end)
        history, seconds = fit.run(log, until=end)
        reached = history[end - 1]
        row: JudgedRow = {
            "genotype": text,
            "rung": rung,
            "epochs": end,
            "accuracy": reached["accuracy"],
            "balanced_accuracy": reached["balanced_accuracy"],
            "loss": reached["judged_loss"],
            "seconds": seconds,
            "origin": self.origin,
        }
        write_json(self._file(text, rung), row)
        return dict(row)
