"""Stage `train`: train the hyper-network (paper, Algorithm 1)."""

from stnas.train.stage import run

__all__ = ["run"]
