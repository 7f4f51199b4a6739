"""Stage ``report``: write one HTML page about a run."""

from stnas.report.stage import run, write_report
from stnas.report.watch import watch

__all__ = ["run", "watch", "write_report"]
