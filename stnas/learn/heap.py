"""Freed memory that the C library keeps from the system."""

import ctypes
import sys


def release() -> None:
    """Give freed pages back to the system, where the C library can (glibc's ``malloc_trim``).

    Between tensors of many sizes that come and go lie small blocks that stay, and glibc neither
    fits others into the holes nor returns them: scoring two thousand candidates would hold
    gigabytes of them.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
