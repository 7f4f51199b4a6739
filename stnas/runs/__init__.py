"""List, compare and delete run folders."""

from stnas.runs.command import run

__all__ = ["run"]
