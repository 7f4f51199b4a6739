"""Stage `retrain`: train the chosen networks on their own (paper, section 4.1)."""

from stnas.retrain.stage import run

__all__ = ["run"]
