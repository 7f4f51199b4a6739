"""Ctrl-C, SIGTERM and SIGHUP: a loop first comes to a place where its state can be saved."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Handler = Callable[[int, FrameType | None], Any]


class Stopped(KeyboardInterrupt):
    """A signal has ended the work, which can go on later."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def number_of(stop: KeyboardInterrupt) -> int:
    """Return the signal behind an interruption."""
    return stop.number if isinstance(stop, Stopped) else signal.SIGINT


def answer_with(handler: Handler) -> dict[int, Any]:
    """Let a function answer the signals; return what answered them before.

    In other threads than the main one, which signals do not reach, it does nothing. ``nohup``
    stays in force: a SIGHUP that is ignored goes on to be.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return {
        number: signal.signal(number, handler)
        for number in SIGNALS
        if not (ignored and number == signal.SIGHUP)
    }


def restore(before: dict[int, Any]) -> None:
    """Let those answer the signals that did before."""
    for number, handler in before.items():
        signal.signal(number, handler)


def stop_now(number: int, _: FrameType | None) -> None:
    """Stop wherever the program is: the handler of a signal outside of loops."""
    raise Stopped(number)


def leave_before_work(number: int, _: FrameType | None) -> NoReturn:
    """End the process with a line: the handler while modules are imported.

    There is nothing to save, and an exception can be lost in the callbacks of an import.
    """
    note = f"stnas: stopped by {signal.Signals(number).name} before the work began\n"
    with suppress(OSError, ValueError):
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, note.encode())
    os._exit(128 + number)


def leave_at_once(number: int, _: FrameType | None) -> NoReturn:
    """End the process: the handler once a first signal is being answered."""
    os._exit(128 + number)


def send_again(lost: "sys.UnraisableHookArgs") -> None:
    """Send a signal once more whose exception a finaliser or a callback has swallowed.

    It is the hook for exceptions that Python cannot raise.
    """
    if isinstance(lost.exc_value, Stopped):
        threading.Timer(0.05, os.kill, (os.getpid(), lost.exc_value.number)).start()
    else:
        sys.__unraisablehook__(lost)


class Deferral:
    """Holds the first signal back, as a context manager; the second stops at once.

    asked: the signal that came, or None. Signals reach the main thread alone, so in other threads
    nothing is held back.
    """

    def __init__(self) -> None:
        self.asked: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = answer_with(self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        restore({n: h for n, h in self._before.items() if signal.getsignal(n) == self._note})
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
