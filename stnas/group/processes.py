"""The processes that work on one run: who leads, what they share, what happens when one fails.

``torchrun`` starts them; without it a process is alone, and all of this does nothing. The leader
is rank 0: it alone reads and writes the run folder, but for the weights that all of them read.
"""

import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from torch import Tensor, distributed
from torch.distributed import Store  # type: ignore[attr-defined]

from stnas.group.sums import halve_and_double_

P = ParamSpec("P")
T = TypeVar("T")
PAUSE = 0.2
"""Seconds between two looks at whether the other processes are there, too."""
GRACE = 3.0
"""Seconds in which the processes that lost another find out which one it was."""


class PeerError(RuntimeError):
    """Another process of the group failed or was lost."""


class ProcessGroup:
    """One process of a group: its rank, and how many there are.

    store: memory that all of them see; None for a process that is alone. timeout: seconds that
    the others are waited for.
    """

    def __init__(
        self, rank: int = 0, size: int = 1, *, store: Store | None = None, timeout: float = 0.0
    ) -> None:
        self.rank, self.size, self.store, self.timeout = rank, size, store, timeout
        self._queues = 0

    def first(self, call: Callable[[], T]) -> T:
        """Let the leader, as if it were alone, make a call; all return its result or its error."""
        if self.size == 1:
            return call()
        told: list[Any] = [None]
        if self.rank == 0:
            try:
                told = [(self.alone(call), None)]
            except (Exception, SystemExit) as error:
                told = [(None, error)]
        self._together(partial(distributed.broadcast_object_list, told, src=0))
        result, failure = told[0]
        if failure is not None:
            raise failure from (None if self.rank == 0 else PeerError("rank 0 says it"))
        return result  # type: ignore[no-any-return]

    def alone(self, call: Callable[[], T]) -> T:
        """Make a call in this process alone: what it writes, no other waits for."""
        with as_current(ProcessGroup()):
            return call()

    def sum_(self, flat: Tensor) -> None:
        """Replace a vector by its sum over the processes, the same bits in all of them.

        On the processor, 2^k processes add by halves, ((0 + 1) + (2 + 3)) + ..., whatever their
        number; otherwise the order is that of the backend's ``all_reduce``.
        """
        if self.size == 1:
            return
        halves = self.size & (self.size - 1) == 0 and flat.is_cpu
        if halves:
            self._together(partial(halve_and_double_, flat, rank=self.rank, size=self.size))
        else:
            self._together(partial(distributed.all_reduce, flat))

    def spread_(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by those of the leader."""
        for tensor in tensors if self.size > 1 else ():
            dense = tensor.detach().contiguous()
            self._together(partial(distributed.broadcast, dense, src=0))
            tensor.detach().copy_(dense)

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, by rank."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        self._together(partial(distributed.all_gather_object, found, value))
        return found

    def agree(self, what: str, value: str) -> None:
        """Raise RuntimeError that names the processes where a value is not the leader's."""
        values = self.gather(value)
        others = [str(rank) for rank, other in enumerate(values) if other != values[0]]
        if others:
            raise RuntimeError(
                f"{what} must be the same in all processes, got others in rank {', '.join(others)} "
                "than in rank 0: give all of them the same files, package and kind of processor"
            )

    def take(self, count: int) -> Iterator[int]:
        """Yield the numbers below ``count``, each in one process: an idle one takes the next."""
        if self.store is None:
            yield from range(count)
            return
        self._queues += 1
        draw = partial(self.store.add, f"queue/{self._queues}", 1)
        while (number := self._together(draw) - 1) < count:
            yield number

    def share(self, count: int, work: Callable[[int], T]) -> list[T]:
        """Return ``work(0)`` to ``work(count - 1)``, each done by one process as if it were alone.

        An idle process takes the next. A piece of work may last longer than the timeout.
        """
        found: dict[int, T] = {}
        for number in self.take(count):
            found[number] = self.alone(partial(work, number))
        self._meet()
        merged = {number: value for part in self.gather(found) for number, value in part.items()}
        return [merged[number] for number in range(count)]

    def _meet(self) -> None:
        """Wait, however long it takes, until all processes are here."""
        if self.store is None:
            return
        key, store = f"met/{self._queues}", self.store
        self._together(partial(store.add, key, 1))
        while self._together(partial(store.add, key, 0)) < self.size:
            told = self.failure()
            if told is not None:
                raise PeerError(told)
            time.sleep(PAUSE)

    def fail(self, text: str) -> bool:
        """Tell the others why this process ends; False if another one did so before."""
        if self.store is None:
            return True
        own = f"rank {self.rank}: {text}"
        return self.store.compare_set("failure", "", own).decode() == own

    def failure(self) -> str | None:
        """Return what the process that failed first has told."""
        told = self.store is not None and self.store.check(["failure"])
        return self.store.get("failure").decode() if told and self.store else None

    def _together(self, call: Callable[[], T]) -> T:
        """Make a call that needs the other processes; PeerError says which of them is missing."""
        try:
            return call()
        except RuntimeError as error:
            # torchrun is about to end this process too, which would hide the reason.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise PeerError(self._reason(first_sentence(error))) from None

    def _reason(self, error: str) -> str:
        """Find out which process failed: the one that told so, or else those that do not answer."""
        assert self.store is not None
        try:
            self.store.set(f"alive/{self.rank}", "")
            end = time.monotonic() + GRACE
            while time.monotonic() < end:
                failure = self.failure()
                if failure is not None:
                    return failure
                time.sleep(0.05)
            ranks = range(self.size)
            lost = [str(rank) for rank in ranks if not self.store.check([f"alive/{rank}"])]
        except RuntimeError:
            lost = ["0, whose process holds the group's store,"]
        return (
            f"rank {', '.join(lost) or 'unknown'} was lost, or did not answer within "
            f"{self.timeout:.0f} s ({error}): the same command goes on from the last saved state"
        )


_CURRENT: ContextVar[ProcessGroup] = ContextVar("process_group", default=ProcessGroup())  # noqa: B039


def first_sentence(error: RuntimeError) -> str:
    """Return what a backend's error says, without its place in the source and its advice."""
    text = str(error).partition("\n")[0].partition(". ")[0]
    return text.partition("] ")[2] if text.startswith("[/") else text


def current() -> ProcessGroup:
    """Return the group that this process belongs to."""
    return _CURRENT.get()


@contextmanager
def as_current(group: ProcessGroup) -> Iterator[None]:
    """Let ``current`` return a group."""
    token = _CURRENT.set(group)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def led(method: Callable[P, T]) -> Callable[P, T]:
    """Make a function that the leader runs for all processes: they share its result and error."""

    @wraps(method)
    def shared(*args: P.args, **kwargs: P.kwargs) -> T:
        return current().first(partial(method, *args, **kwargs))

    return shared
