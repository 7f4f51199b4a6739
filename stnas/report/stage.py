"""Read a run folder and write ``report/report.html``."""

from pathlib import Path

from stnas.config import Config
from stnas.report.load import load_record
from stnas.report.page import render
from stnas.store.console import say
from stnas.store.files import write_text
from stnas.store.names import REPORT
from stnas.store.places import check_own_folders


def run(config: Config) -> None:
    """Write the page of the configured run folder, from whatever stages are complete."""
    path = write_report(config.folder)
    say(f"report: {path}")


def write_report(folder: Path) -> Path:
    """Write the page of a run folder and return its path.

    FileNotFoundError: training is not complete; ValueError: a file of the run is damaged, or a
    link stands where the page's folder is.
    """
    path = folder / REPORT
    check_own_folders(folder, [path.parent.name])
    write_text(path, render(load_record(folder)))
    return path
