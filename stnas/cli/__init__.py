"""The command line: the words of the pipeline.

Where processors are shared, waiting OpenMP threads must not spin for long; where they are not,
they must not fall asleep at once, since a kernel takes less time than waking them up. So they
spin for some microseconds and sleep then. torch reads these variables when it is imported, so they
are set here, before.
"""

import os
from importlib import import_module

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

from stnas.group.interruption import answer_with, leave_before_work, restore

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Run ``stnas`` with the arguments of the process, or the given ones.

    Under torchrun all processes run a stage together.
    Exits with 1 after an error, 2 if the arguments are wrong, 128 + n if signal n ended it.
    """
    before = answer_with(leave_before_work)  # before the modules that a command needs are imported
    try:
        import_module("stnas.cli.commands").main(arguments)
    finally:
        if arguments is not None:
            restore(before)
