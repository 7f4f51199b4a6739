"""The numbers of a stage's units, in ``metrics.jsonl`` and as TensorBoard's events.

They only inform: what cannot be written is told once, and the work goes on without it.
"""

import time
from collections.abc import Callable, Collection, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from stnas.store.advice import advice
from stnas.store.events import Events
from stnas.store.files import scan_rows, write_rows
from stnas.store.names import METRICS, TENSORBOARD


class Metrics:
    """The rows of a run, and the events of one stage of it, begun anew with the rows there are.

    So there is one file of events a stage, however often it is interrupted. unit: ``epoch`` or
    ``generation``. tell: takes a line about what is damaged or cannot be written. gone: stages
    whose work was deleted, and whose rows go with the next that is written.
    """

    def __init__(
        self,
        run: Path,
        stage: str,
        *,
        unit: str,
        origin: str,
        tell: Callable[[str], None],
        gone: Collection[str] = (),
    ) -> None:
        self.file, self.stage, self.unit, self.origin = run / METRICS, stage, unit, origin
        self._tell = tell
        self._writes = self.file.is_file() or not self.file.exists()
        self._kept = True
        self._rows = [row for row in self._read() if row.get("stage") not in gone]
        self._events: Events | None = None
        try:
            self._events = Events(run / TENSORBOARD / stage)
        except OSError as error:
            self._without("TensorBoard's events", error)
        for row in self._rows:
            if row.get("stage") == self.stage and self.unit in row:
                self._plot(row)

    def record(self, index: int, *, network: str | None, numbers: Mapping[str, float]) -> None:
        """Keep the numbers of one unit; those of the same unit before are replaced.

        A number that is not finite, which JSON lacks, is null.
        """
        kept = {name: value if isfinite(value) else None for name, value in numbers.items()}
        key = {"stage": self.stage, self.unit: index, "network": network}
        self._rows = [row for row in self._rows if {name: row.get(name) for name in key} != key]
        self._rows.append({**key, "time": time.time(), **kept})
        if self._writes:
            self._write()
        self._plot(self._rows[-1])

    def close(self) -> None:
        """Close the file of events."""
        if self._events is not None:
            self._events.close()

    def _read(self) -> list[dict[str, Any]]:
        """Read the whole lines of the file."""
        if not self._writes:
            self._tell(f"{self.file} is no file, so the numbers for it are left out: move it away")
            return []
        try:
            lines = scan_rows(self.file, origin=self.origin)
        except OSError as error:
            self._without(str(self.file), error)
            return []
        rows = [row for row in lines if row is not None]
        if lines and not any(scan_rows(self.file, origin=None)):
            self._writes = False
            self._tell(
                f"{self.file} holds other things than numbers of stnas and is left as it is, so "
                "the numbers for it are left out: move it away"
            )
        elif len(rows) < len(lines):
            self._tell(f"{self.file}: {len(lines) - len(rows)} damaged lines are left out")
        return rows

    def _write(self) -> None:
        """Write all rows; what could not be written before comes with them."""
        try:
            write_rows(self.file, self._rows, origin=self.origin)
            self._kept = True
        except OSError as error:
            if self._kept:
                self._without(str(self.file), error)
            self._kept = False

    def _plot(self, row: dict[str, Any]) -> None:
        """Append a row to the events."""
        if self._events is None:
            return
        prefix = tag(row)
        try:
            for name in row.keys() - {"stage", self.unit, "network", "time"}:
                if isinstance(row[name], int | float):
                    place = f"{prefix}/{name}"
                    self._events.add(place, row[name], step=row[self.unit], now=row["time"])
        except OSError as error:
            self._without("TensorBoard's events", error)
            self.close()
            self._events = None

    def _without(self, what: str, error: OSError) -> None:
        self._tell(
            f"{what} cannot be written ({error}): the work goes on without; to have these "
            f"numbers too, {advice(error)}"
        )


def tag(row: dict[str, Any]) -> str:
    """Return the words that the tags of a row begin with."""
    words = (row["stage"], row.get("network"))
    return "/".join(str(word) for word in words if word is not None)
