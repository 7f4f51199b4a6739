"""Command ``predict``: what image files show, by a trained network."""

from stnas.predict.command import run

__all__ = ["run"]
