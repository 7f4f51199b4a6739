"""Make the tables of scores in docs/search-value.md: ``python benchmarks/search_scores_tables.py``.

It trains nothing; the figures go to ``results/search_scores.csv`` too.
"""

from pathlib import Path
from typing import Any

import numpy as np
from ranking_text import filled, lines, show, span, with_ends
from record import load, machine, save
from search_scores import (
    CANDIDATES,
    bias_rows,
    ensemble_rows,
    lead_rows,
    long_study,
    ridge_rows,
    way_rows,
)

PAGE = Path(__file__).parents[1] / "docs" / "search-value.md"


def bias_table(rows: list[dict[str, Any]]) -> str:
    """Tabulate the correlations and their difference."""
    body = [
        [row["way"], show(row["truth"]), show(row["score"]),
         f"{show(row['score'] - row['truth'], sign='+')} "
         f"({span(row, 'gain_low', 'gain_high', sign='+')})"]
        for row in rows
    ]  # fmt: skip
    return lines(("correlation with", "truth", "shared loss", "difference (95 %)"), body)


def way_table(rows: list[dict[str, Any]]) -> str:
    """Tabulate every way by loss, its gain, and the same by accuracy and running statistics."""
    found = {tuple(row[k] for k in ("way", "form", "statistics", "measure")): row for row in rows}
    head = ("way", "averaged", "tau-b by loss (95 %)", "gain over the last checkpoints (95 %)",
            "by accuracy", "by loss, running statistics")  # fmt: skip
    body = []
    for (way, form, statistics, measure), row in found.items():
        if form == "baseline":
            body.append([f"`{way}`", "size alone", *cells(row), "-", "-"])
        elif (statistics, measure) == ("own", "loss") and form != "bound":
            others = (("own", "accuracy"), ("running", "loss"))
            beside = [show(found.get((way, form, *other), {}).get("tau")) for other in others]
            body.append([f"`{way}`", form, *cells(row), *beside])
    return lines(head, body)


def cells(row: dict[str, Any]) -> list[str]:
    """Format tau-b and the gain with their intervals."""
    return [with_ends(row, "tau"), with_ends(row, "gain", sign="+")]


def small_table(rows: list[dict[str, Any]], first: str) -> str:
    """Tabulate tau-b and its gain over the first row."""
    base = float(rows[0]["tau"])
    body = [
        [row["way"], show(row["tau"], digits=3), show(row["tau"] - base, sign="+", digits=3),
         span(row, "gain_low", "gain_high", sign="+")]
        for row in rows
    ]  # fmt: skip
    return lines((first, "tau-b", "gain", "95 %"), body)


def lead_table(rows: list[dict[str, Any]]) -> str:
    """Tabulate the leads of the choices, in points."""
    head = ("best k by", *(f"k = {k}" for k in CANDIDATES))
    body = []
    for way in dict.fromkeys(row["way"] for row in rows):
        own = [row for row in rows if row["way"] == way]
        body.append([way, *(lead_text(row) for row in own)])
    return lines(head, body)


def lead_text(row: dict[str, Any]) -> str:
    """Format a lead, with its range over the seeds where it has one."""
    ends = f" ({span(row, 'lead_min', 'lead_max', sign='+')})" if "lead_min" in row else ""
    return f"{show(row['lead'], sign='+')}{ends}"


def main() -> None:
    """Write the tables."""
    study = long_study()
    ways, together, ridge = way_rows(study), ensemble_rows(study), ridge_rows(study)
    first = {
        r["genotype"]: float(r["accuracy_0"]) for r in load("ranking_truth") if r["set"] == "cifar"
    }
    leads = lead_rows(study, np.array([first[row["genotype"]] for row in study.truth]))
    bias = bias_rows(study)
    save("search_scores", [*ways, *together, *ridge, *leads, *bias], machine())
    tables = {
        "ways": way_table(ways),
        "ensembles": small_table(together, "mean loss of"),
        "leads": lead_table(leads),
        "bias": bias_table(bias),
        "ridge": small_table(ridge, "left-out prediction from"),
    }
    PAGE.write_text(filled(PAGE.read_text(), tables))
    print(f"tables: {PAGE}")


if __name__ == "__main__":
    main()
