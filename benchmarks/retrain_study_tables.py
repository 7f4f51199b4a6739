"""Make the table of the trainings of ``retrain_study.py``: ``python retrain_study_tables.py``."""

from pathlib import Path

import numpy as np
from ranking_text import filled, lines, show
from record import Row, load
from space_study_tables import STUDENT

PAGE = Path(__file__).parents[1] / "docs" / "search-value.md"
BASE = "quickstart"


def gains(rows: list[Row], column: str, recipe: str) -> list[float]:
    """Return the gains of a recipe over the base, in points, paired by network and seed."""

    def key(row: Row) -> tuple[str, str, str]:
        return row["size"], row["network"], row["seed"]

    base = {key(r): float(r["test10k_accuracy"]) for r in rows if r["recipe"] == BASE}
    own = [r for r in rows if r["recipe"] == recipe and key(r) in base]
    return [100 * (float(r[column]) - base[key(r)]) for r in own]


def gain_text(found: list[float]) -> str:
    """Format a mean gain with its 95 % interval, where there are three or more."""
    mean = show(np.mean(found), sign="+")
    if len(found) < 3:
        return f"{mean} ({', '.join(show(gain, sign='+') for gain in found)})"
    half = STUDENT[len(found)] * np.std(found, ddof=1) / len(found) ** 0.5
    return f"{mean} ± {half:.2f}"


def table(rows: list[Row]) -> str:
    """Tabulate what each change of the recipe brings, and what averaging its weights adds."""
    head = ("changed", "n", "gain, points", "the same, weights averaged (0.99)", "loss in training")
    body = []
    for recipe in dict.fromkeys(row["recipe"] for row in rows):
        plain = gains(rows, "test10k_accuracy", recipe)
        averaged = gains(rows, "0.99 test10k_accuracy", recipe)
        losses = [float(row["train_loss"]) for row in rows if row["recipe"] == recipe]
        if recipe == BASE:
            cells = ["-", gain_text(averaged)]
        else:
            cells = [gain_text(plain), gain_text(averaged)]
        body.append([recipe, str(len(plain)), *cells, show(np.mean(losses), digits=3)])
    return lines(head, body)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(), {"recipes": table(list(load("retrain_study")))}))
