"""Read a run folder and write ``report/report.html``."""

from pathlib import Path

from stnas.config import Config
from stnas.report.load import Record, load_record
from stnas.report.page import render
from stnas.report.samples import Samples, samples
from stnas.store.console import say
from stnas.store.files import write_text
from stnas.store.names import REPORT
from stnas.store.places import check_own_folders


def run(config: Config) -> None:
    """Write the page of the configured run folder, from whatever stages are complete."""
    say(f"report: {write_report(config.folder, config=config)}")


def write_report(folder: Path, *, config: Config | None = None) -> Path:
    """Write the page of a run folder and return its path.

    config: says where the images are; none are shown without. FileNotFoundError: training is not
    complete; ValueError: a file of the run is damaged, or a link stands where the page's folder is.
    """
    record = load_record(folder)
    return write_page(record, samples=None if config is None else samples(config, record))


def write_page(record: Record, *, samples: Samples | None = None, watched: bool = False) -> Path:
    """Write the page of a run and return its path."""
    path = record.folder / REPORT
    check_own_folders(record.folder, [path.parent.name])
    write_text(path, render(record, samples=samples, watched=watched))
    return path
