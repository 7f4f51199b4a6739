"""What people read while a stage works: a terminal, a pipe or a file that may go away.

What is printed here only informs. So it never stops the work and never holds it up: what cannot
be written is left out.
"""

import codecs
import errno
import os
import select
import sys
from importlib.util import find_spec
from math import inf, isfinite
from typing import IO, Literal, cast

from rich.console import Console
from rich.table import Table

GONE = (errno.EPIPE, errno.EIO, errno.EBADF, errno.ECONNRESET)
PIECE = {True: 64, False: 4096}
"""Bytes that a terminal (True) or a pipe (False) takes without a wait once it takes any."""
PATIENCE = 1.0
"""Seconds that a reader who has stopped reading is waited for, once."""


def as_written(error: UnicodeError) -> tuple[str | bytes, int]:
    """Encode what the encoding lacks: the bytes of a name that is not UTF-8, else its number."""
    assert isinstance(error, UnicodeEncodeError)
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


codecs.register_error("stnas.as_written", as_written)


class ReaderGoneError(BrokenPipeError):
    """Nobody reads the text that a command is for, such as ``head`` once it has enough."""


class Outlet:
    """A stream of the process, as rich writes to it: errors and full pipes pass without a word.

    insists: the text is what the command is for, so errors are raised and readers waited for.
    """

    def __init__(self, name: Literal["stdout", "stderr"], *, insists: bool = False) -> None:
        self.name, self.insists = name, insists
        self._stuck = False
        self._missed = 0

    @property
    def stream(self) -> IO[str] | None:
        """Return the process's own stream, also while a progress display stands before it."""
        found: IO[str] | None = getattr(sys, self.name)
        proxied: IO[str] | None = getattr(found, "rich_proxied_file", found)
        return proxied

    @property
    def encoding(self) -> str:
        """Return the stream's encoding."""
        return getattr(self.stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Tell whether the stream is a terminal."""
        try:
            return self.stream is not None and self.stream.isatty()
        except (OSError, ValueError):
            return False

    def fileno(self) -> int:
        """Return the number of the stream's file."""
        if self.stream is None:
            raise OSError(errno.EBADF, f"{self.name} is closed")
        return self.stream.fileno()

    def flush(self) -> None:
        """Do nothing: ``write`` keeps nothing back."""

    def write(self, text: str) -> int:
        """Write a text, or what of it can be written at once."""
        stream = self.stream
        try:
            if stream is not None:
                stream.flush()
                self._write(stream, text)
        except OSError as error:
            if self.insists and isinstance(error, BrokenPipeError):
                raise ReaderGoneError(*error.args) from error
            if self.insists:
                raise
            if stream is not None and error.errno in GONE:
                self._let_go(stream)
        except ValueError:  # the stream is closed
            pass
        return len(text)

    def _write(self, stream: IO[str], text: str) -> None:
        content = text.encode(self.encoding, "stnas.as_written")
        try:
            place = stream.fileno()
        except (OSError, AttributeError):
            stream.write(content.decode(self.encoding, "replace"))
            stream.flush()
            return
        if self._missed and self._ready(place):
            note = f"stnas: {self._missed} pieces of text were left out, as nobody read them\n"
            self._missed = 0
            content = note.encode(self.encoding) + content
        step = PIECE[os.isatty(place)]
        while content:
            if not self._ready(place):
                self._missed += 1
                return
            content = content[os.write(place, content[:step]) :]

    def _ready(self, place: int) -> bool:
        """Tell whether a write will not wait; where the text must be read, wait until so."""
        patience = None if self.insists else 0 if self._stuck else PATIENCE
        ready = bool(select.select([], [place], [], patience)[1])
        self._stuck = not ready
        return ready

    def _let_go(self, stream: IO[str]) -> None:
        """Give what Python still writes, at its end too, a place to go."""
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        except (OSError, ValueError):
            return


class _Console(Console):
    """A console that leaves a closed pipe to its caller."""

    def on_broken_pipe(self) -> None:
        """Pass the BrokenPipeError on."""
        raise


def console(outlet: Outlet) -> Console:
    """Make a console that prints every text as it is; lines in files may be long."""
    made = _Console(file=cast(IO[str], outlet), highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = 160
    return made


CONSOLE = console(Outlet("stdout"))
ERRORS = console(Outlet("stderr"))
ANSWERS = console(Outlet("stdout", insists=True))
"""For commands whose text is all that they give."""
_SAID: set[str] = set()


def moves(console: Console) -> bool:
    """Tell whether a bar that moves can be shown: in a terminal, or in a notebook with widgets."""
    return console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)


def say(text: str) -> None:
    """Print a line."""
    CONSOLE.print(text, soft_wrap=True)


def warn(text: str) -> None:
    """Print a line once, however many stages find reason to."""
    if text not in _SAID:
        _SAID.add(text)
        say(text)


def percent(value: float | None, *, digits: int = 2) -> str:
    """Format a share; a dash where there is none."""
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def points(value: float | None, half: float = inf) -> str:
    """Format a lead in percentage points, with its 95 % interval where it has one."""
    if value is None:
        return "-"
    interval = f" ({100 * (value - half):+.2f} to {100 * (value + half):+.2f})"
    return f"{100 * value:+.2f}{interval if isfinite(half) else ''}"


def folding_table(*headings: str, title: str | None = None) -> Table:
    """Make a table whose cells take more lines where the terminal is narrow; nothing is cut."""
    made = Table(title=title)
    for heading in headings:
        made.add_column(heading, overflow="fold")
    return made
