"""Freed memory, which the C library keeps or gives back to the system."""

import ctypes
import sys
from typing import Any

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's ``mallopt``."""


def release() -> None:
    """Give freed pages back to the system, where the C library can (glibc's ``malloc_trim``).

    Between tensors of many sizes that come and go lie small blocks that stay, and glibc neither
    fits others into the holes nor returns them: scoring two thousand candidates would hold
    gigabytes of them.
    """
    trim = of_c_library("malloc_trim")
    if trim is not None:
        trim(0)


def keep_pages() -> None:
    """Let freed pages stay, where the C library can (glibc's ``mallopt``), until ``release``.

    A training step frees at its end what the next one asks for again. Where that is many times its
    largest tensor, glibc returns the pages and the system clears them anew, each step.
    """
    set_option = of_c_library("mallopt")
    if set_option is not None:
        set_option(MMAP_THRESHOLD, 32 << 20)  # the largest that glibc takes
        set_option(TRIM_THRESHOLD, 1 << 30)


def of_c_library(name: str) -> Any:
    """Return a function of the C library; None where it has no such."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
