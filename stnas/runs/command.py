"""Print the runs of a folder, hold some against each other, or delete some."""

import csv
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

from rich.table import Table

from stnas.config.runs import RunsOptions
from stnas.config.words import suggestion
from stnas.runs.deletion import check, delete
from stnas.runs.summary import Summary, find_runs, summary
from stnas.store.console import ANSWERS, folding_table, percent, points
from stnas.store.files import read_json
from stnas.store.names import RESULT, SETTINGS
from stnas.store.settings import stored_values

ORDERS: dict[str, Callable[[Summary], Any]] = {
    "changed": lambda own: -own.changed,
    "name": lambda own: own.name,
    "accuracy": lambda own: -(own.accuracy or 0.0),
    "size": lambda own: -own.size,
}
PLACES = ("run", "timeout", "threads", "save_every")
"""Options that are not compared: they decide nothing of a result."""


def run(options: RunsOptions, *, ask: Callable[[str], str] | None = None) -> None:
    """List the runs below a folder, or compare or delete those that are named.

    ask: puts a question and returns the answer; default: in the terminal.
    """
    root = Path(options.folder).expanduser()
    if not root.is_dir():
        raise ValueError(
            f"folder must be a folder of runs, got {options.folder}, which "
            f"{'is a file' if root.exists() else 'does not exist'}: name the folder in which your "
            "runs lie"
        )
    found = sorted((summary(own, root) for own in find_runs(root)), key=ORDERS[options.sort])
    if options.delete:
        remove(named(options.delete, found, "delete"), yes=options.yes, ask=ask)
    elif options.compare:
        chosen = named(options.compare, found, "compare")
        ANSWERS.print(network_table(chosen))
        ANSWERS.print(option_table(chosen))
    else:
        FORMS[options.answer](found)


def named(names: Sequence[str], found: Sequence[Summary], key: str) -> list[Summary]:
    """Return the runs of some names; ValueError for another name."""
    known = {own.name: own for own in found} | {str(own.folder): own for own in found}
    for name in names:
        if name.rstrip("/") not in known:
            repair = suggestion(name, [own.name for own in found]) or "stnas runs lists the names"
            raise ValueError(f"{key} must name runs of the list, got {name!r}: {repair}")
    return [known[name.rstrip("/")] for name in dict.fromkeys(names)]


def remove(
    chosen: Sequence[Summary], *, yes: bool, ask: Callable[[str], str] | None = None
) -> None:
    """Delete runs, after a question unless it was answered before."""
    for own in chosen:
        check(own.folder)
    listed = ", ".join(f"{own.folder} ({megabytes(own.size)})" for own in chosen)
    if not yes:
        if ask is None and not sys.stdin.isatty():
            raise ValueError(
                f"yes must be true where nobody can be asked, got false: to delete {listed}, add "
                "--yes"
            )
        answer = (ask or input)(f"delete {listed}? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            ANSWERS.print("nothing was deleted")
            return
    for own in chosen:
        delete(own.folder)
        ANSWERS.print(f"deleted {own.folder}", soft_wrap=True)


def show_table(found: Sequence[Summary]) -> None:
    """Print a line a run."""
    head = ("run", "seed", "stage", "size", "changed", "images", "best network", "MAdds", "test",
            "lead, points")  # fmt: skip
    table = folding_table(*head)
    for own in found:
        madds = "-" if own.madds is None else f"{own.madds:,}"
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(own.changed))
        table.add_row(
            own.name,
            "-" if own.seed is None else str(own.seed),
            own.stage,
            megabytes(own.size),
            day,
            own.data or "-",
            own.network or "-",
            madds,
            percent(own.accuracy),
            points(own.lead),
        )
    ANSWERS.print(table)
    for own in found:
        if own.damage:
            ANSWERS.print(f"{own.name}: {own.damage}", soft_wrap=True)
    ANSWERS.print(f"runs: {len(found)}, together {megabytes(sum(own.size for own in found))}")


def rows(found: Sequence[Summary]) -> list[dict[str, Any]]:
    """Return runs as plain values."""
    return [{**asdict(own), "folder": str(own.folder)} for own in found]


def show_csv(found: Sequence[Summary]) -> None:
    """Print comma-separated values."""
    text = StringIO()
    table = csv.DictWriter(text, list(Summary.__dataclass_fields__), lineterminator="\n")
    table.writeheader()
    table.writerows(rows(found))
    ANSWERS.print(text.getvalue().rstrip("\n"), soft_wrap=True)


def show_json(found: Sequence[Summary]) -> None:
    """Print a JSON list of objects."""
    ANSWERS.print(json.dumps(rows(found), indent=1), soft_wrap=True)


FORMS = {"table": show_table, "csv": show_csv, "json": show_json}


def network_table(chosen: Sequence[Summary]) -> Table:
    """Tabulate the networks that runs have trained, the smallest first."""
    table = folding_table("run", "network", "role", "MAdds", "parameters", "test")
    for own in chosen:
        file = own.folder / "retrain" / RESULT
        networks = read_json(file)["networks"] if file.exists() else []
        if not networks:
            table.add_row(own.name, "-", own.stage, "-", "-", "-")
        for row in sorted(networks, key=lambda row: int(row["madds"])):
            table.add_row(
                own.name,
                row["name"],
                row["role"],
                f"{row['madds']:,}",
                f"{row['params']:,}",
                percent(row["test_accuracy"]),
            )
    return table


def option_table(chosen: Sequence[Summary]) -> Table:
    """Tabulate the options in which runs differ; an option that a run does not record is empty."""
    found = [stored_values(own.folder / SETTINGS) for own in chosen]
    names = [name for name in dict.fromkeys(n for f in found for n in f) if name not in PLACES]
    table = folding_table("option", *(own.name for own in chosen))
    for name in names:
        values = ["" if name not in own else str(own[name]) for own in found]
        if len(set(values)) > 1:
            table.add_row(name, *values)
    return table


def megabytes(size: int) -> str:
    """Format bytes."""
    return f"{size / 1e6:,.1f} MB"
