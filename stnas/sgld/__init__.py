"""Stage `sgld`: draw samples of the shared weights (paper, Algorithm 2)."""

from stnas.sgld.stage import run

__all__ = ["run"]
