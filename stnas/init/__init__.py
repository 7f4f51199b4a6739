"""Look at a folder of images, and propose the configuration of a run on it."""

from stnas.init.command import run
from stnas.init.proposal import proposed

__all__ = ["proposed", "run"]
