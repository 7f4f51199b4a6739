"""The command line: the words of the pipeline.

Waiting OpenMP threads must sleep, not spin, where processors are shared; torch reads this variable
when it is imported, so it is set here, before.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from stnas.cli.commands import main

__all__ = ["main"]
