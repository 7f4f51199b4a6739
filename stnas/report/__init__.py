"""Stage ``report``: write one HTML page about a run."""

from stnas.report.stage import run, write_report

__all__ = ["run", "write_report"]
