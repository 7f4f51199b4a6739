"""The state of a loop on disk: the last one and the one before it."""

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from stnas.group.interruption import Deferral, Stopped
from stnas.group.processes import current
from stnas.store.checksum import DamagedError
from stnas.store.names import previous
from stnas.store.places import forget
from stnas.store.tensors import read_tensors, write_tensors


@dataclass
class Standing:
    """How far a loop is.

    steps: done since it began. loss, accuracy: sums over the steps of the epoch under way.
    history: what is kept of the epochs before. seconds: that all of it took.
    """

    steps: int = 0
    loss: float = 0.0
    accuracy: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0

    def add_(self, loss: float, accuracy: float = 0.0) -> None:
        """Count a step."""
        self.steps += 1
        self.loss += loss
        self.accuracy += accuracy

    def end_epoch_(self) -> None:
        """Begin new sums."""
        self.loss = self.accuracy = 0.0


def nothing() -> None:
    """Leave the standing as it is."""


class Saver:
    """Saves a loop's tensors and standing; a context manager that holds Ctrl-C back meanwhile.

    A FloatingPointError that ends the loop tells where the last good state is.

    path: of the last state; the one before it lies beside. every: seconds between two states.
    origin: marks what the state belongs to. tensors: gives those that are saved. settle: called
    before they are, to bring the standing up to date.
    """

    def __init__(
        self,
        path: Path,
        *,
        every: float,
        origin: str,
        tensors: Callable[[], Mapping[str, Tensor]],
    ) -> None:
        self.path, self.every, self.origin, self.tensors = path, every, origin, tensors
        self.previous = path.with_name(previous(path.name))
        self.standing = Standing()
        self.settle: Callable[[], None] = nothing
        self.stop = Deferral()
        self._saved = self._begun = time.perf_counter()

    def __enter__(self) -> Self:
        self.stop.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop.__exit__(kind, error, trace)
        if isinstance(error, FloatingPointError):
            raise FloatingPointError(f"{error} ({self.last()})") from error

    def resume(self, tell: Callable[[str], None]) -> dict[str, Tensor] | None:
        """Return the tensors of the last whole state and take over its standing; None: no state.

        The leader reads it for all processes. Raises DamagedError where there are states and none
        is whole and of this work.
        """
        tensors, standing = current().first(partial(self._read, tell))
        if tensors is not None:
            self.standing = standing
            self._begun = time.perf_counter() - standing.seconds
        return tensors

    def _read(self, tell: Callable[[str], None]) -> tuple[dict[str, Tensor] | None, Standing]:
        complaints = []
        for file in (self.path, self.previous):
            if not file.exists():
                continue
            try:
                tensors, metadata = read_tensors(file)
                standing = self._standing(metadata, file)
            except DamagedError as error:
                complaints.append(str(error).partition(": ")[0])
                continue
            if complaints:
                tell(f"{complaints[0]}: going on from {file}, at step {standing.steps}")
            if file != self.path:
                file.replace(self.path)
            return tensors, standing
        if complaints:
            raise DamagedError(
                f"{'; '.join(complaints)}: restore a copy, or delete what is named to begin anew"
            )
        return None, self.standing

    def _standing(self, metadata: dict[str, Any], file: Path) -> Standing:
        """Return the standing of a state that belongs to the same work."""
        if metadata.get("origin") != self.origin:
            raise DamagedError(f"{file} belongs to another run, or the images have changed")
        return Standing(**metadata["standing"])

    def step(self) -> None:
        """Save if it is time to, or if a signal came; then the signal ends the work.

        All processes save after the same step: when it is time for one of them.
        """
        due = time.perf_counter() - self._saved >= self.every
        if anywhere(due or self.stop.asked is not None):
            self.save()

    def save(self) -> None:
        """Save a state, and end the work if a signal came.

        Raises FloatingPointError, and keeps the states that are there, if a number is not finite.
        """
        self.settle()
        tensors = self.tensors()
        check_finite(tensors, self)
        self.standing.seconds = self.seconds()
        current().first(partial(self._write, tensors))
        self._saved = time.perf_counter()
        self.leave()

    def leave(self) -> None:
        """Raise Stopped in all processes if a signal came in one of them."""
        if anywhere(self.stop.asked is not None):
            raise Stopped(self.stop.asked or signal.SIGTERM)

    def _write(self, tensors: Mapping[str, Tensor]) -> None:
        write_tensors(
            self.path,
            tensors,
            previous=self.previous,
            origin=self.origin,
            standing=asdict(self.standing),
        )

    def seconds(self) -> float:
        """Return the seconds that all of the work took, those before an interruption included."""
        return time.perf_counter() - self._begun

    def drop(self) -> None:
        """Remove both states, the older one first: what is left is never the older alone."""
        for file in (self.previous, self.path):
            current().first(partial(forget, file))

    def last(self) -> str:
        """Say where the last good state is."""
        if not self.path.exists():
            return "no state was saved in this epoch; what was finished before is kept"
        return f"the last good state is {self.path}"


def anywhere(holds: bool) -> bool:
    """Tell whether something holds in one of the processes."""
    votes = torch.tensor([float(holds)])
    current().sum_(votes)
    return bool(votes > 0)


def check_finite(tensors: Mapping[str, Tensor], saver: Saver) -> None:
    """Raise FloatingPointError that names the first tensor with a number that is not finite."""
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise FloatingPointError(
                f"{name} is not finite after step {saver.standing.steps - 1}, so the state was "
                "not saved: lower the learning rate"
            )
