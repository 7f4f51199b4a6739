"""Make the tables of ``search_value.py``'s runs: ``python search_value_tables.py``."""

from collections import defaultdict
from statistics import fmean

import numpy as np
from numpy.typing import ArrayLike
from ranking_text import filled, lines, show
from record import Row, load
from space_study_tables import PAGE

from stnas.rank.statistics import interval, resamples

NAME = "search_value"
TABLES = {"value": NAME, "cifar": "search_value_cifar"}
"""Results by the mark of their table on the page: the recipes quickstart and cifar."""


def comparisons(rows: list[Row]) -> list[dict[str, float]]:
    """Return a row for each choice of each run: its lead over the networks of its size, points."""
    groups: dict[tuple[str, str, str], dict[str, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in rows:
        name, _, kind = row["name"].partition("-")
        part = kind if row["role"] == "baseline" else row["role"]
        groups[row["seed"], row["limit"], name][part].append(100 * float(row["test_accuracy"]))
    found = []
    for (seed, limit, _), own in groups.items():
        chosen, twins = own.pop("chosen")[0], own.pop("random")
        made = {name: values[0] for name, values in own.items()}
        found.append(
            {
                "seed": float(seed),
                "limit": float(limit),
                "chosen": chosen,
                "twins": fmean(twins),
                "lead": chosen - fmean(twins),
                "over_best_twin": chosen - max(twins),
                **{f"over_{name}": chosen - value for name, value in made.items()},
                "over_best_made": chosen - max(made.values()),
            }
        )
    return found


def figure(found: list[dict[str, float]], key: str) -> str:
    """Format the mean over seeds of a figure, with its bootstrap interval over seeds."""
    by_seed: dict[float, list[float]] = defaultdict(list)
    for row in found:
        by_seed[row["seed"]].append(row[key])
    return bounded([fmean(values) for values in by_seed.values()], sign="+")


def bounded(values: ArrayLike, *, digits: int = 2, sign: str = "") -> str:
    """Format a mean with its bootstrap interval, where there are two values or more."""
    array = np.asarray(values, np.float64)
    if len(array) == 1:
        return show(array[0], digits=digits, sign=sign)
    counts = resamples(len(array), 10_000, seed=0)
    low, high = interval(counts @ array / len(array))
    first, *ends = (show(value, digits=digits, sign=sign) for value in (array.mean(), low, high))
    return f"{first} ({' to '.join(ends)})"


def table(rows: list[Row]) -> str:
    """Tabulate the leads of all choices, limit by limit and together."""
    found = comparisons(rows)
    made = [key for key in found[0] if key.startswith("over_") and key != "over_best_made"]
    head = ("limit", "runs", "chosen, %", "random twins, %", "lead over the twins' mean (95 %)",
            "over the best twin", *(f"over {key[5:]}" for key in made if key != "over_best_twin"),
            "over the best hand-made")  # fmt: skip
    body = []
    parts = {f"{limit:,.0f}": [r for r in found if r["limit"] == limit]
             for limit in sorted({r["limit"] for r in found})}  # fmt: skip
    for name, own in {**parts, "together": found}.items():
        body.append(
            [name, str(len({row["seed"] for row in own})), show(fmean(r["chosen"] for r in own)),
             show(fmean(r["twins"] for r in own)), figure(own, "lead"),
             figure(own, "over_best_twin"),
             *(figure(own, key) for key in made if key != "over_best_twin"),
             figure(own, "over_best_made")]
        )  # fmt: skip
    return lines(head, body)


if __name__ == "__main__":
    tables = {mark: table(load(name)) for mark, name in TABLES.items()}
    PAGE.write_text(filled(PAGE.read_text(), tables))
