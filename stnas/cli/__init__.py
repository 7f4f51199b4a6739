"""The command line: the words of the pipeline.

Where processors are shared, waiting OpenMP threads must not spin for long; where they are not,
they must not fall asleep at once, since a kernel takes less time than waking them up. So they
spin for some microseconds and sleep then. torch reads these variables when it is imported, so they
are set here, before.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

from stnas.cli.commands import main

__all__ = ["main"]
