"""Command ``latency``: measure blocks and networks, for the search to count with."""

from stnas.latency.command import run

__all__ = ["run"]
