"""The memory that the handlers of signals run on."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class Stack(ctypes.Structure):
    """A thread's alternate signal stack, ``stack_t`` of sigaltstack(2)."""

    _fields_ = (
        ("start", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("size", ctypes.c_size_t),
    )


def signal_stack() -> Stack:
    """Return this thread's alternate signal stack."""
    found = Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found))
    return found


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Take back the alternate signal stack that the code inside replaces.

    OpenVINO sets one of its own while a ``Core`` lives, and then sets the one that it found. Where
    two lives overlap, that is one that is unmapped already, and the next signal ends the process.
    """
    if sys.platform != "linux":
        yield
        return
    before = signal_stack()
    try:
        yield
    finally:
        ctypes.CDLL(None).sigaltstack(ctypes.byref(before), None)
