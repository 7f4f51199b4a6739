"""Command ``export``: write a trained network in a form that others read, and check it."""

from stnas.export.command import run

__all__ = ["run"]
