"""Make the tables of ``verdict_study.py``: ``python verdict_study_tables.py``."""

from collections import defaultdict

import numpy as np
from ranking_text import filled, lines, show
from record import Row, load
from space_study_tables import PAGE
from verdict_study import CANDIDATES, MODELS

from stnas.rank.statistics import interval, resamples

Contest = tuple[str, str, str]


def by_contest(rows: list[Row]) -> dict[Contest, list[Row]]:
    """Group rows by recipe, seed and limit."""
    found: dict[Contest, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["recipe"], row["seed"], row["limit"]].append(row)
    return found


def bounded(values: list[float], *, digits: int = 2, sign: str = "") -> str:
    """Format a mean over contests with its bootstrap interval over contests."""
    array = np.array(values)
    counts = resamples(len(array), 10_000, seed=0)
    low, high = interval(counts @ array / len(array))
    first, *ends = (show(value, digits=digits, sign=sign) for value in (array.mean(), low, high))
    return f"{first} ({' to '.join(ends)})"


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


if __name__ == "__main__":
    tables = {"origins": origins(load(CANDIDATES)), "models": models(load(MODELS))}
    PAGE.write_text(filled(PAGE.read_text(), tables))
