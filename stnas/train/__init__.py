"""Stage `train`: train the hyper-network (paper, Algorithm 1)."""

from stnas.train.stage import check, run

__all__ = ["check", "run"]
