"""Stage `retrain`: train the chosen networks on their own (paper, section 4.1)."""

from stnas.retrain.stage import check, run

__all__ = ["check", "run"]
