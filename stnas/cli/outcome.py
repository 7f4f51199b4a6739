"""What a whole run ends with: the front, the chosen networks, and where the page is."""

import shlex
from collections.abc import Mapping, Sequence
from math import isfinite
from statistics import fmean
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from stnas.config import Config
from stnas.learn.comparison import Lead, differs_when_balanced, leads, mean_lead
from stnas.search.truth import told
from stnas.store.complete import read_result
from stnas.store.console import CONSOLE, folding_table, percent, points
from stnas.store.files import read_json
from stnas.store.names import FRONT, REPORT, RESULT
from stnas.store.results import FrontFile
from stnas.store.rows import typed_row
from stnas.store.stages import whole_run


def print_outcome(config: Config) -> None:
    """Print the tables of a complete run."""
    run = config.folder
    stages = [name for name in whole_run(config) if (run / name / RESULT).exists()]
    results = {name: read_result(run, name, files=False) for name in stages}
    front = typed_row(FrontFile, read_json(run / "search" / FRONT), run / "search" / FRONT)
    CONSOLE.print(front_table(front["front"], config.search.cost), crop=False)
    if "retrain" in results:
        networks = results["retrain"]["networks"]
        found = leads(networks)
        CONSOLE.print(network_table(networks, config.search.cost))
        CONSOLE.print(lead_table(found))
        CONSOLE.print(worth(found), soft_wrap=True)
    else:
        CONSOLE.print(derived(results["search"], config), soft_wrap=True)
    seconds = {name: result["seconds"] for name, result in results.items()}
    times = ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items())
    CONSOLE.print(f"time: {times}, together {sum(seconds.values()) / 60:.1f} min")
    CONSOLE.print(f"report: {run / REPORT}", soft_wrap=True)


def derived(search: Mapping[str, Any], config: Config) -> str:
    """Say what tables know of the cell that was derived, and how to train it on these images."""
    cell = search["choices"][0]["genotype"]
    lines = [f"cell: {cell}, {line}" for line in told(search.get("truth", []))]
    again = f"stnas retrain --run {shlex.quote(config.run)}"
    return "\n".join([*(lines or [f"cell: {cell}"]), f"on these images: {again}"])


def counted(cost: str) -> tuple[str, ...]:
    """Name the cost that was searched by where a table does not show it anyway."""
    return () if cost in ("madds", "params") else (cost,)


def number_of(row: Mapping[str, Any], cost: str) -> str:
    """Format a cost of a row; a dash where there is none, as for other people's networks."""
    return f"{row[cost]:,.10g}" if row.get(cost) is not None else "-"


def front_table(front: Sequence[Mapping[str, Any]], cost: str = "madds") -> Group:
    """Tabulate the front; below it the genotypes, each a line that can be copied.

    cost: what was searched by, which has a column of its own.
    """
    own = counted(cost)
    heads = ("", "MAdds", "parameters", *own, "accuracy, shared weights")
    table = folding_table(*heads, title="Front")
    for number, row in enumerate(front, start=1):
        figures = (number_of(row, name) for name in ("madds", "params", *own))
        table.add_row(str(number), *figures, percent(row["accuracy"]))
    lines = [Text(row["genotype"], no_wrap=True, overflow="ignore") for row in front]
    return Group(table, Text("Genotypes of the front, in the same order:"), *lines)


def network_table(networks: list[dict[str, Any]], cost: str = "madds") -> Table:
    """Tabulate the networks that were trained on their own.

    cost: what was searched by, which has a column of its own. Balanced accuracy and the least
    recall stand there where the test classes are unequal.
    """
    unequal, own = differs_when_balanced(networks), counted(cost)
    alike = {"madds": "multiply-adds", "params": "parameters"}.get(cost, cost)
    table = folding_table(
        "network",
        "MAdds",
        "parameters",
        *own,
        "held-out, shared weights",
        "test, shared weights",
        "test, retrained",
        *(("test, balanced", "least recall") if unequal else ()),
        title=f"Chosen networks, random and hand-made ones of the same {alike}",
    )
    for network in networks:
        balanced = (network["test_balanced_accuracy"], least_recall(network)) if unequal else ()
        table.add_row(
            network["name"],
            *(number_of(network, name) for name in ("madds", "params", *own)),
            percent(network["validation_accuracy"]),
            percent(network["test_accuracy_before"]),
            percent(network["test_accuracy"]),
            *(percent(value) for value in balanced),
        )
    return table


def least_recall(network: dict[str, Any]) -> float:
    """Return the recall of the class that a network recognises least."""
    return float(min(recall for recall in network["test_recalls"] if recall is not None))


def lead_table(found: list[Lead]) -> Table:
    """Tabulate how far the choices lead, in percentage points of test accuracy."""
    table = folding_table(
        "network",
        "test",
        "random twins: mean",
        "best",
        "lead over their mean (95 %)",
        "best hand-made",
        "lead over it",
        title="What the search is worth",
    )
    for lead in found:
        best = lead.hand_made
        table.add_row(
            lead.name,
            of_trainings(lead),
            f"{percent(fmean(lead.twins))} (n {len(lead.twins)})" if lead.twins else "-",
            percent(max(lead.twins, default=None)),
            points(lead.lead, lead.half),
            "-" if best is None else f"{best} {percent(lead.baselines[best])}",
            points(lead.lead_over_hand_made),
        )
    return table


def of_trainings(lead: Lead) -> str:
    """Format the accuracy of a choice; of several trainings with their standard deviation."""
    if lead.spread is None:
        return percent(lead.accuracy)
    return f"{percent(lead.accuracy)} (n {len(lead.trainings)}, s.d. {100 * lead.spread:.2f})"


def worth(found: list[Lead]) -> str:
    """Say in a line how far the choices lead random networks, and how sure that is."""
    mean = mean_lead(found)
    if mean is None:
        return "lead: unknown, as no random twins were trained: set --retrain.random_twins 3"
    value, half = mean
    text = f"lead: {points(value, half)} points over random networks of the same size, "
    if not isfinite(half):
        return f"{text}of unknown uncertainty with one twin each: set --retrain.random_twins 3"
    sure = "more than chance gives" if value > half else "no more than chance may give"
    return f"{text}{sure} (judged by the spread of {sum(len(lead.twins) for lead in found)} twins)"
