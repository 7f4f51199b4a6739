"""What a whole run ends with: the front, the chosen networks, and where the page is."""

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from stnas.config import Config
from stnas.store.console import CONSOLE, folding_table
from stnas.store.files import read_json


def percent(value: float) -> str:
    """Format a share."""
    return f"{100 * value:.2f} %"


def print_outcome(config: Config) -> None:
    """Print the tables of a complete run."""
    run = config.folder
    CONSOLE.print(front_table(read_json(run / "search" / "front.json")["front"]), crop=False)
    CONSOLE.print(network_table(read_json(run / "retrain" / "result.json")["networks"]))
    chooser = ("verdict",) if config.verdict.candidates else ()
    stages = ("train", "sgld", "search", *chooser, "retrain")
    seconds = {name: read_json(run / name / "result.json")["seconds"] for name in stages}
    times = ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items())
    CONSOLE.print(f"time: {times}, together {sum(seconds.values()) / 60:.1f} min")
    CONSOLE.print(f"report: {run / 'report' / 'report.html'}", soft_wrap=True)


def front_table(front: list[dict[str, Any]]) -> Group:
    """Tabulate the front; below it the genotypes, each a line that can be copied."""
    table = folding_table("", "MAdds", "parameters", "accuracy, shared weights", title="Front")
    for number, row in enumerate(front, start=1):
        table.add_row(
            str(number), f"{row['madds']:,}", f"{row['params']:,}", percent(row["accuracy"])
        )
    lines = [Text(row["genotype"], no_wrap=True, overflow="ignore") for row in front]
    return Group(table, Text("Genotypes of the front, in the same order:"), *lines)


def network_table(networks: list[dict[str, Any]]) -> Table:
    """Tabulate the networks that were trained on their own."""
    table = folding_table(
        "network",
        "MAdds",
        "parameters",
        "held-out, shared weights",
        "test, shared weights",
        "test, retrained",
        title="Chosen networks and random ones of the same multiply-adds",
    )
    for network in networks:
        table.add_row(
            network["name"],
            f"{network['madds']:,}",
            f"{network['params']:,}",
            percent(network["validation_accuracy"]),
            percent(network["test_accuracy_before"]),
            percent(network["test_accuracy"]),
        )
    return table
