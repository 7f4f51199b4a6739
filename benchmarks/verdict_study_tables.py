"""Make the tables of ``verdict_study.py`` and ``verdict_ablation.py``."""

from collections import defaultdict

import numpy as np
from ranking_text import filled, lines, show
from record import Row, load
from search_value_tables import NAME as RUNS
from search_value_tables import bounded, comparisons
from space_study_tables import PAGE
from verdict_ablation import NAME as ABLATION
from verdict_study import CANDIDATES, MODELS

Contest = tuple[str, str, str]


def by_contest(rows: list[Row]) -> dict[Contest, list[Row]]:
    """Group rows by recipe, seed and limit."""
    found: dict[Contest, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["recipe"], row["seed"], row["limit"]].append(row)
    return found


def origins(rows: list[Row]) -> str:
    """Tabulate what each way to propose a candidate brought."""
    groups = by_contest(rows)
    gains: dict[tuple[str, str], list[float]] = defaultdict(list)
    for (recipe, *_), own in groups.items():
        losses: dict[str, list[float]] = defaultdict(list)
        for row in own:
            losses[row["origin"]].append(float(row["loss_0"]))
        for origin, values in losses.items():
            gains[recipe, origin].append(float(np.mean(values) - np.mean(losses["drawn"])))
    last = max(key for key in rows[0] if key.startswith("loss_"))
    body = []
    for (recipe, origin), values in gains.items():
        own = [row for row in rows if (row["recipe"], row["origin"]) == (recipe, origin)]
        counts = (len(own), sum(bool(row[last]) for row in own), sum(int(r["won"]) for r in own))
        loss = "0" if origin == "drawn" else bounded(values, digits=4, sign="+")
        body.append([recipe, origin, *map(str, counts), loss])
    head = ("recipe", "proposed by", "candidates", "in the last rung", "won",
            "loss, less that of the drawn (95 %)")  # fmt: skip
    return lines(head, body)


def models(rows: list[Row]) -> str:
    """Tabulate how far models that know more or less err, as a share of the spread."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        ratio = float(row["error"]) / float(row["spread"])
        found[row["recipe"], row["known"]].append(ratio)
    body = [[*key, str(len(values)), bounded(values, digits=3)] for key, values in found.items()]
    return lines(("recipe", "known", "contests", "left-out error / spread (95 %)"), body)


def ablation(rows: list[Row], runs: list[Row]) -> str:
    """Tabulate what verdicts chose among networks drawn at random, beside those of the search."""
    found = {(row["seed"], row["limit"]): 100 * float(row["test_accuracy"]) for row in rows}
    own: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for row in comparisons(runs):
        key = f"{row['seed']:.0f}", f"{row['limit']:.0f}"
        if key in found:
            own[key[0]].append((row["chosen"], found[key], row["twins"]))
    means = np.array([np.mean(values, axis=0) for values in own.values()])
    searched, drawn, twins = means.T
    body = [
        ["candidates of the search", show(searched.mean()), bounded(searched - twins, sign="+")],
        ["drawn at random", show(drawn.mean()), bounded(drawn - twins, sign="+")],
        ["difference", "", bounded(searched - drawn, sign="+")],
    ]
    head = (f"verdict among ({len(own)} runs)", "chosen, %", "lead over random twins (95 %)")
    return lines(head, body)


if __name__ == "__main__":
    tables = {
        "origins": origins(load(CANDIDATES)),
        "models": models(load(MODELS)),
        "ablation": ablation(load(ABLATION), load(RUNS)),
    }
    PAGE.write_text(filled(PAGE.read_text(), tables))
