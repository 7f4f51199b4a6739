"""What a stage tells while it works: live progress, metrics.jsonl and TensorBoard."""

import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from tensorboardX import SummaryWriter

from stnas.group.processes import current
from stnas.store.files import scan_rows, write_rows
from stnas.store.run_folder import RunFolder

CONSOLE = Console(highlight=False)
if not CONSOLE.is_terminal:
    CONSOLE.width = 160


def show(name: str, value: float) -> str:
    """Format one number for people."""
    if name in ("accuracy", "best_accuracy"):
        return f"{name.replace('_', ' ')} {100 * value:.2f} %"
    if name == "images_per_second":
        return f"{value:,.0f} images/s"
    return f"{name.replace('_', ' ')} {value:.4g}"


class Journal:
    """Record of one stage, whose work is counted in units (``epoch`` or ``generation``).

    Of several processes the leader keeps it; in the others it does nothing.
    start: units that a resumed stage has behind it. A unit that is recorded again replaces its row.
    """

    def __init__(
        self, run: RunFolder, stage: str, *, total: int, unit: str = "epoch", start: int = 0
    ) -> None:
        self.stage, self.unit, self.total = stage, unit, total
        self._file, self._origin = run.path / "metrics.jsonl", run.origin("train")
        self._leads = current().rank == 0
        lines = scan_rows(self._file, origin=self._origin) if self._leads else []
        self._rows = [row for row in lines if row is not None]
        self._board = self._replay(run.path / "tensorboard" / stage)
        self._live = Progress(
            TextColumn("[bold]{task.fields[stage]}[/bold]"),
            BarColumn(),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            console=CONSOLE,
            disable=not (CONSOLE.is_terminal and self._leads),
            transient=True,
        )
        self._task = self._live.add_task("", total=total, completed=start, stage=stage, text="")
        if len(self._rows) < len(lines):
            self.say(f"{self._file}: {len(lines) - len(self._rows)} damaged lines are left out")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._live.stop()
        self._board.close()

    def progress(self, done: float, **numbers: float) -> None:
        """Show where the stage is, counted in units with a fraction."""
        text = ", ".join(show(name, value) for name, value in numbers.items())
        label = f"{self.unit} {int(done) + 1}/{self.total}  {text}"
        self._live.update(self._task, completed=done, text=label)

    def record(
        self, index: int, *, network: str | None = None, of: int | None = None, **numbers: float
    ) -> None:
        """Write the numbers of one unit to the files and, as a plain line, to the terminal.

        network: the network that the unit belongs to. of: how many units there are, by default
        the stage's total.
        """
        key = {"stage": self.stage, self.unit: index, "network": network}
        self._rows = [row for row in self._rows if {name: row.get(name) for name in key} != key]
        self._rows.append({**key, "time": time.time(), **numbers})
        write_rows(self._file, self._rows, origin=self._origin)
        prefix = self._plot(self._board, self._rows[-1])
        text = ", ".join(show(name, value) for name, value in numbers.items() if name != "step")
        self.say(f"{prefix} {self.unit} {index + 1}/{of or self.total}: {text}")

    def _replay(self, folder: Path) -> SummaryWriter:
        """Begin the stage's TensorBoard events anew with the rows that there are.

        So there is one file of events a stage, however often it is interrupted.
        """
        if self._leads:
            shutil.rmtree(folder, ignore_errors=True)
        board = SummaryWriter(str(folder), write_to_disk=self._leads)
        for row in self._rows:
            if row.get("stage") == self.stage and self.unit in row:
                self._plot(board, row)
        return board

    def _plot(self, board: SummaryWriter, row: dict[str, Any]) -> str:
        """Add a row to the events and return the words that its tags begin with."""
        words = (self.stage, row.get("network"))
        prefix = "/".join(word for word in words if word is not None)
        for name in row.keys() - {"stage", self.unit, "network", "time"}:
            board.add_scalar(f"{prefix}/{name}", row[name], row[self.unit], walltime=row["time"])
        return prefix

    def say(self, text: str) -> None:
        """Print a line above the progress."""
        if self._leads:
            self._live.console.print(text, markup=False, soft_wrap=True)


class Chapter:
    """One of the pieces of a stage's work, whose units are recorded under its name.

    position: how many pieces the stage has behind it. units: how many this one has.
    """

    def __init__(self, journal: Journal, name: str, *, position: int, units: int) -> None:
        self.journal, self.name, self.position, self.units = journal, name, position, units

    def progress(self, done: float, **numbers: float) -> None:
        """Show where the stage is, ``done`` units into the piece."""
        self.journal.progress(self.position + done / max(1, self.units), **numbers)

    def record(self, index: int, **numbers: float) -> None:
        """Write the numbers of one unit."""
        self.journal.record(index, network=self.name, of=self.units, **numbers)

    def say(self, text: str) -> None:
        """Print a line above the progress."""
        self.journal.say(text)


Log = Journal | Chapter
"""Where a loop tells what it does."""
