"""Print the runs of a folder, hold some against each other, or delete some."""

import csv
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

from rich.table import Table

from stnas.config.runs import Answer, RunsOptions
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
COLUMNS = ("run", "network", "role", "madds", "parameters", "test_accuracy")
PLACES = ("run", "timeout", "threads", "save_every")
"""Options that are not compared: they decide nothing of a result."""
Row = dict[str, Any]


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
        compare(named(options.compare, found, "compare"), options.answer)
    elif options.answer == "table":
        show_table(found)
    else:
        rows = [{**asdict(own), "folder": str(own.folder)} for own in found]
        show_values(rows, list(Summary.__dataclass_fields__), options.answer)


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


def show_values(rows: Sequence[Row], columns: Sequence[str], answer: Answer) -> None:
    """Print a JSON list of objects, or comma-separated values with a line of columns."""
    if answer == "json":
        ANSWERS.print(json.dumps(rows, indent=1), soft_wrap=True)
        return
    text = StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    ANSWERS.print(text.getvalue().rstrip("\n"), soft_wrap=True)


def compare(chosen: Sequence[Summary], answer: Answer) -> None:
    """Print the networks of runs and, but for comma-separated values, the options that differ."""
    networks, options = [row for own in chosen for row in networks_of(own)], differing(chosen)
    if answer == "json":
        found = {"networks": networks, "options": options}
        ANSWERS.print(json.dumps(found, indent=1), soft_wrap=True)
    elif answer == "csv":
        show_values(networks, COLUMNS, answer)
    else:
        ANSWERS.print(network_table(chosen, networks))
        ANSWERS.print(option_table(chosen, options))


def networks_of(own: Summary) -> list[Row]:
    """Return the networks that a run has trained, the smallest first."""
    file = own.folder / "retrain" / RESULT
    rows = read_json(file)["networks"] if file.exists() else []
    names = {"network": "name", "parameters": "params"}
    return [
        {"run": own.name, **{key: row[names.get(key, key)] for key in COLUMNS[1:]}}
        for row in sorted(rows, key=lambda row: int(row["madds"]))
    ]


def network_table(chosen: Sequence[Summary], networks: Sequence[Row]) -> Table:
    """Tabulate the networks of runs; a run that has none has a line with its stage."""
    table = folding_table("run", "network", "role", "MAdds", "parameters", "test")
    for own in chosen:
        rows = [row for row in networks if row["run"] == own.name]
        if not rows:
            table.add_row(own.name, "-", own.stage, "-", "-", "-")
        for row in rows:
            words = [row["network"], row["role"], f"{row['madds']:,}", f"{row['parameters']:,}"]
            table.add_row(own.name, *words, percent(row["test_accuracy"]))
    return table


def differing(chosen: Sequence[Summary]) -> dict[str, dict[str, Any]]:
    """Return the options in which runs differ, by run; one that a run does not record is not in."""
    found = {own.name: stored_values(own.folder / SETTINGS) for own in chosen}
    names = dict.fromkeys(name for own in found.values() for name in own if name not in PLACES)
    known = {name: {r: own[name] for r, own in found.items() if name in own} for name in names}
    return {
        name: values
        for name, values in known.items()
        if len({str(value) for value in values.values()}) > 1 or len(values) < len(found)
    }


def option_table(chosen: Sequence[Summary], options: Mapping[str, Mapping[str, Any]]) -> Table:
    """Tabulate options; one that a run does not record is empty."""
    table = folding_table("option", *(own.name for own in chosen))
    for name, values in options.items():
        table.add_row(name, *(str(values.get(own.name, "")) for own in chosen))
    return table


def megabytes(size: int) -> str:
    """Format bytes."""
    return f"{size / 1e6:,.1f} MB"
