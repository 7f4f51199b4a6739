"""Ctrl-C and SIGTERM: a loop first comes to a place where its state can be saved."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A signal has ended the work, which can go on later."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def stop_now(number: int, _: FrameType | None) -> None:
    """Stop wherever the program is: the handler of a signal outside of loops."""
    raise Stopped(number)


class Deferral:
    """Holds the first Ctrl-C or SIGTERM back, as a context manager; the second stops at once.

    asked: the signal that came, or None. Signals reach the main thread alone, so in other threads
    nothing is held back.
    """

    def __init__(self) -> None:
        self.asked: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            if signal.getsignal(number) == self._note:
                signal.signal(number, handler)
        if kind is None:
            self.leave()

    def leave(self) -> None:
        """Raise Stopped if a signal came."""
        if self.asked is not None:
            raise Stopped(self.asked)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked is not None:
            stop_now(number, frame)
        self.asked = number
