"""What a stage tells while it works: live progress, plain lines and metrics."""

import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from stnas.group.processes import current
from stnas.store.console import CONSOLE, moves, say
from stnas.store.metrics import Metrics
from stnas.store.run_folder import RunFolder

SOON = 3.0
"""Seconds of work after which its speed counts as known."""
Forecast = Callable[[float, float], str]


def show(name: str, value: float) -> str:
    """Format one number for people."""
    if name in ("accuracy", "best_accuracy"):
        return f"{name.replace('_', ' ')} {100 * value:.2f} %"
    if name == "images_per_second":
        return f"{value:,.0f} images/s"
    return f"{name.replace('_', ' ')} {value:.4g}"


def listed(numbers: dict[str, float]) -> str:
    """Format some numbers for people."""
    return ", ".join(show(name, value) for name, value in numbers.items())


def place(unit: str, done: float, total: int) -> str:
    """Say which unit of how many is under way, once all are done the last one."""
    return f"{unit} {min(int(done) + 1, total)}/{total}"


class Journal:
    """Record of one stage, whose work is counted in units (``epoch`` or ``generation``).

    Of several processes the leader keeps it; in the others it does nothing.
    start: units that a resumed stage has behind it. A unit that is recorded again replaces its row.
    forecast: makes a line of the images a second and of the units that are left; it is told once,
    some seconds after the start and before the first unit is done.
    """

    def __init__(
        self,
        run: RunFolder,
        stage: str,
        *,
        total: int,
        unit: str = "epoch",
        start: int = 0,
        forecast: Forecast | None = None,
    ) -> None:
        self.stage, self.unit, self.total = stage, unit, total
        self._forecast, self._begun = forecast, time.monotonic()
        self._leads = current().rank == 0
        self._live = Progress(
            TextColumn("{task.fields[stage]}", style="bold", markup=False),
            BarColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            TimeRemainingColumn(),
            console=CONSOLE,
            disable=not (moves(CONSOLE) and self._leads),
            transient=True,
        )
        self._task = self._live.add_task("", total=total, completed=start, stage=stage, text="")
        self._metrics: Metrics | None = None
        origin = run.origin("train")
        if self._leads:
            self._metrics = Metrics(
                run.path, stage, unit=unit, origin=origin, tell=self.say, gone=run.gone()
            )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._live.stop()
        if self._metrics is not None:
            self._metrics.close()

    def progress(self, done: float, **numbers: float) -> None:
        """Show where the stage is, counted in units with a fraction."""
        self.show(done, place(self.unit, done, self.total), numbers)
        if time.monotonic() - self._begun > SOON:
            self._foretell(done, numbers)

    def show(self, done: float, where: str, numbers: dict[str, float]) -> None:
        """Show how much of the stage is done, and where in it the work is."""
        completed, text = min(done, self.total), f"{where}  {listed(numbers)}"
        self._live.update(self._task, completed=completed, text=text)

    def record(
        self, index: int, *, network: str | None = None, of: int | None = None, **numbers: float
    ) -> None:
        """Write the numbers of one unit to the files and, as a plain line, to the terminal.

        network: the network that the unit belongs to. of: how many units there are, by default
        the stage's total.
        """
        self._foretell(index, numbers)
        if self._metrics is not None:
            keep = partial(self._metrics.record, index, network=network, numbers=numbers)
            current().alone(keep)
        told = {name: value for name, value in numbers.items() if name != "step"}
        name = "/".join(word for word in (self.stage, network) if word is not None)
        self.say(f"{name} {self.unit} {index + 1}/{of or self.total}: {listed(told)}")

    def _foretell(self, done: float, numbers: dict[str, float]) -> None:
        """Tell once how long the work will take, as soon as its speed is known."""
        if self._forecast is not None and numbers.get("images_per_second", 0.0) > 0:
            self.say(self._forecast(numbers["images_per_second"], self.total - done))
            self._forecast = None

    def say(self, text: str) -> None:
        """Print a line above the progress."""
        if self._leads:
            say(text)


class Chapter:
    """One of the pieces of a stage's work, whose units are recorded under its name.

    position: how many pieces the stage has behind it. units: how many this one has.
    """

    def __init__(self, journal: Journal, name: str, *, position: int, units: int) -> None:
        self.journal, self.name, self.position, self.units = journal, name, position, units

    def progress(self, done: float, **numbers: float) -> None:
        """Show where the stage is, ``done`` units into the piece."""
        where = f"{self.name} {place(self.journal.unit, done, self.units)}"
        self.journal.show(self.position + done / max(1, self.units), where, numbers)

    def record(self, index: int, **numbers: float) -> None:
        """Write the numbers of one unit."""
        self.journal.record(index, network=self.name, of=self.units, **numbers)

    def say(self, text: str) -> None:
        """Print a line above the progress."""
        self.journal.say(text)


Log = Journal | Chapter
"""Where a loop tells what it does."""
