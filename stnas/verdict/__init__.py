"""Stage `verdict`: train the best candidates near each limit, and choose who wins."""

from stnas.verdict.stage import check, run

__all__ = ["check", "run"]
