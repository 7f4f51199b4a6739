"""The machine that figures come from, and the files that keep them: ``benchmarks/results``."""

import csv
import json
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

import stnas.ops  # noqa: F401 registers torch.ops.stnas
from stnas.store.machine import processor_facts

RESULTS = Path(__file__).parent / "results"

Row = dict[str, str]


def processor() -> str:
    """Return the name, family and model number of the processor."""
    facts = processor_facts()
    if "model name" not in facts:
        return platform.processor() or platform.machine()
    numbers = [f"{key} {facts[key]}" for key in ("cpu family", "model") if key in facts]
    return ", ".join([facts["model name"], *numbers])


def release(package: str) -> str:
    """Return the version of a package, or that it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def command() -> str:
    """Return the command; folders of this machine are called FOLDER, once where several follow."""
    words = ("FOLDER" if Path(word).is_absolute() else word for word in sys.argv)
    return " ".join(["python", *(word for word, _ in groupby(words))])


def machine(*packages: str) -> dict[str, Any]:
    """Return processor, instruction set in use, threads, versions, and the command."""
    return {
        "command": command(),
        "processor": processor(),
        "isa": torch.ops.stnas.isa(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        **{package: release(package) for package in packages},
    }


def save(
    name: str, rows: list[dict[str, Any]], about: dict[str, Any], *, into: Path = RESULTS
) -> None:
    """Write ``<name>.csv`` into a folder: a line of JSON about the machine, then the table."""
    into.mkdir(exist_ok=True)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with (into / f"{name}.csv").open("w", newline="") as file:
        file.write(f"# {json.dumps(about)}\n")
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def known(name: str) -> list[dict[str, Any]]:
    """Return the rows of ``results/<name>.csv``; none where there is no such file."""
    return [dict(row) for row in load(name)] if (RESULTS / f"{name}.csv").exists() else []


def load(name: str) -> list[Row]:
    """Return the rows that ``save`` wrote to ``results/<name>.csv``."""
    with (RESULTS / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))
