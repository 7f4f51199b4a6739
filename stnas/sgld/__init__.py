"""Stage `sgld`: draw samples of the shared weights (paper, Algorithm 2)."""

from stnas.sgld.stage import check, run

__all__ = ["check", "run"]
