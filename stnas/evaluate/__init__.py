"""Command ``evaluate``: how well a network classifies images, class by class."""

from stnas.evaluate.command import run

__all__ = ["run"]
