"""Stage `verdict`: train the best candidates near each limit, and choose who wins."""

from stnas.verdict.stage import run

__all__ = ["run"]
