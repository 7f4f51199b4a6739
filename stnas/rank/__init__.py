"""Stage `rank`: measure how far a ranking by shared weights can be trusted (paper, section 4.3)."""

from stnas.rank.stage import run

__all__ = ["run"]
