"""Entry point: read the words, run the command, turn errors into one line.

It imports no torch, so that wrong words, the help and signals are answered at once.
"""

import os
import shlex
import signal
import sys
from importlib import import_module

from stnas.cli.parser import parse
from stnas.config.values import UsageError
from stnas.group.interruption import (
    answer_with,
    leave_at_once,
    leave_before_work,
    number_of,
    restore,
    send_again,
    stop_now,
)
from stnas.store.advice import advice, known
from stnas.store.console import ANSWERS, CONSOLE, ERRORS, ReaderGoneError

FAILURES = (ValueError, TypeError, OSError, RuntimeError, ArithmeticError, ImportError, MemoryError)
MEMORY = ("can't allocate memory", "out of memory", "bad_alloc", "bad allocation")
"""What torch and C++ say where Python would raise MemoryError."""


def main(arguments: list[str] | None = None) -> None:
    """Run ``stnas`` with the arguments of the process, or the given ones.

    Under torchrun all processes run a stage together.
    Exits with 1 after an error, 2 if the arguments are wrong, 128 + n if signal n ended it.
    """
    words = sys.argv[1:] if arguments is None else arguments
    before, sys.unraisablehook = answer_with(leave_before_work), send_again
    try:
        code = finished(words)
    except KeyboardInterrupt as stop:  # a second signal, just before the first was answered
        code = 128 + number_of(stop)
    if arguments is not None:
        restore(before)
        sys.unraisablehook = sys.__unraisablehook__
    if code is not None:
        sys.exit(code)


def finished(words: list[str]) -> int | None:
    """Run a command and return the exit status, None after work that is done."""
    try:
        return run_command(words)
    except UsageError as error:
        complain(str(error))
        return 2
    except ReaderGoneError:
        leave_output()
        return 128 + signal.SIGPIPE
    except FAILURES as error:
        complain(advised(error))
        return 1
    except KeyboardInterrupt as stop:
        answer_with(leave_at_once)
        say_stopped(number_of(stop), words)
        return 128 + number_of(stop)


def run_command(words: list[str]) -> int | None:
    """Parse and run one command; return 0 after an answer, None after work."""
    request = parse(words)
    if request.answer is not None:
        ANSWERS.print(request.answer, soft_wrap=True)
        return 0
    pipeline = import_module("stnas.cli.pipeline")  # brings torch, which takes a second
    answer_with(stop_now)
    pipeline.run(request, words=shlex.join(["stnas", *words]))
    return None


def complain(text: str) -> None:
    """Print an error."""
    ERRORS.print("stnas: error: ", style="bold red", end="")
    ERRORS.print(text, soft_wrap=True)


def say_stopped(number: int, words: list[str]) -> None:
    """Say which signal ended the work, and what goes on with it."""
    again = shlex.join(["stnas", *words])
    CONSOLE.print(
        f"stnas: stopped by {signal.Signals(number).name}; what is done is saved, the same "
        f"command goes on from there: {again}",
        soft_wrap=True,
    )


def advised(error: Exception) -> str:
    """Return an error's text, with the repair where the system's own error lacks it."""
    text = str(error) or type(error).__name__
    if isinstance(error, MemoryError) or any(words in text for words in MEMORY):
        return (
            f"out of memory ({text}): free some, or lower train.batch_size, retrain.batch_size, "
            "search.recalibration_batch or data.image_size"
        )
    if isinstance(error, OSError) and known(error):
        return f"{text}: {advice(error)} and run the same command again"
    return text


def leave_output() -> None:
    """Give what Python still writes at its end a place to go: nobody reads the output."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
