"""Stage `search`: the best networks by loss and multiply-adds (paper, section 3.4)."""

from stnas.search.stage import check, run

__all__ = ["check", "run"]
