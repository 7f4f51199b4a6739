"""The study's tables as Markdown, and their places in docs/ranking.md."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from record import Row

PAGE = Path(__file__).parents[1] / "docs" / "ranking.md"
AVERAGED = {
    "baseline": "size alone",
    "checkpoint": "nothing",
    "parameters": "parameters",
    "scores": "scores",
    "bound": "bound",
    "network": "nothing",
    "ceiling": "",
}
Numbers = Mapping[str, Any]


def show(value: Any, *, scale: float = 1.0, digits: int = 2, sign: str = "") -> str:
    """Format a figure; a dash where there is none."""
    if value in (None, ""):
        return "-"
    text = f"{scale * float(value):{sign}.{digits}f}"
    return text if float(text) else text.lstrip("-")


def span(row: Numbers, low: str, high: str, *, digits: int = 2, sign: str = "") -> str:
    """Format two ends."""
    return " to ".join(show(row.get(end), digits=digits, sign=sign) for end in (low, high))


def with_ends(row: Numbers, name: str, *, digits: int = 2, sign: str = "") -> str:
    """Format a figure with the ends of its interval, ``name_low`` and ``name_high``."""
    ends = span(row, f"{name}_low", f"{name}_high", digits=digits, sign=sign)
    return f"{show(row.get(name), digits=digits, sign=sign)} ({ends})"


def lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Put a table together."""
    body = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in body)


def tau_table(rows: Sequence[Numbers]) -> str:
    """Tabulate every way by recalibrated accuracy."""
    head = (
        "way", "averaged", "tau-b (95 %)", "seeds", "gain over `none` (95 %)", "in bands",
        "top 10 %", "regret, points", "seed to seed",
    )  # fmt: skip
    body = []
    for row in rows:
        if row.get("statistics") == "running" or row.get("measure") == "loss":
            continue
        size, last = row["form"] == "baseline", row["form"] == "ceiling"
        body.append(
            [
                f"`{row['way']}`" if not last else f"{row['way']} (n {row['n']})",
                AVERAGED[str(row["form"])],
                with_ends(row, "tau"),
                "" if size or last else span(row, "tau_min", "tau_max"),
                "" if last else with_ends(row, "gain", sign="+"),
                show(row.get("band_tau")),
                show(row.get("top_precision")),
                show(row.get("regret"), scale=100),
                show(row.get("seed_tau")),
            ]
        )
    return lines(head, body)


def variant_table(rows: Sequence[Numbers]) -> str:
    """Tabulate tau-b by accuracy and by loss, with and without recalibration."""
    found: dict[tuple[str, str], dict[tuple[str, str], Numbers]] = {}
    for row in rows:
        if row["form"] in ("checkpoint", "parameters", "network"):
            own = found.setdefault((str(row["way"]), str(row["form"])), {})
            own[str(row["statistics"]), str(row["measure"])] = row
    columns = [(s, m) for s in ("own", "running") for m in ("accuracy", "loss")]
    head = ["way", *(f"{measure}, {kind} statistics" for kind, measure in columns)]
    body = [
        [f"`{way}`", *(show(own[key]["tau"]) if key in own else "-" for key in columns)]
        for (way, _), own in found.items()
    ]
    return lines(head, body)


def calibration_table(rows: Sequence[Numbers]) -> str:
    """Tabulate how many pairs are right, by way and stated probability."""
    starts = sorted({float(row["from"]) for row in rows})
    head = ["way", *(f"{start:.1f} to {start + 0.1:.1f}" for start in starts), "Brier score"]
    body = []
    for way in dict.fromkeys(row["way"] for row in rows):
        own = {float(row["from"]): row for row in rows if row["way"] == way}
        cells = [f"{show(own[s]['right'])} of {own[s]['pairs']}" for s in starts]
        body.append([f"`{way}`", *cells, show(own[starts[0]]["brier"], digits=3)])
    return lines(head, body)


def skip_table(rows: Sequence[Row]) -> str:
    """Tabulate chains and their networks with skip blocks."""
    head = ("network", "MAdds", "parameters", "test accuracy by seed", "mean")
    body = []
    for row in rows:
        values = [float(row[key]) for key in row if key.startswith("accuracy_") and row[key]]
        each = ", ".join(show(value, scale=100) for value in values)
        mean = show(sum(values) / len(values), scale=100)
        body.append(
            [row["network"], f"{int(row['madds']):,}", f"{int(row['params']):,}", each, mean]
        )
    return lines(head, body)


def filled(page: str, tables: Mapping[str, str]) -> str:
    """Put tables between the marks ``<!-- begin NAME -->`` and ``<!-- end NAME -->``.

    ValueError: the page lacks a place.
    """
    for name, text in tables.items():
        place = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        page, count = place.subn(lambda found, text=text: f"{found[1]}{text}\n{found[2]}", page)
        if count != 1:
            raise ValueError(f"the page must have one place for the table {name}, got {count}")
    return page
