"""Draw the pictures of saved tables again: ``results/<name>.csv`` to ``results/<name>.svg``.

    python benchmarks/draw.py [sgld counting pareto shared_prefix search_profile]

Each benchmark of these names draws its picture in the same way when it has saved its table.
"""

import sys
from collections.abc import Callable

from plot import Points, save_bars, save_plot
from record import RESULTS, Row, load


def number(row: Row, column: str) -> float | None:
    """Return a cell as a number; None where it is empty."""
    return float(row[column]) if row[column] else None


def draw_sgld(rows: list[Row]) -> None:
    """Draw the step beside the other ways and its floors."""
    names = {
        "stnas": "stnas",
        "foreach": "torch._foreach_*, randn_like",
        "copy": "floor: a copy of the bytes",
        "philox": "floor: Philox alone",
    }
    save_bars(
        "sgld",
        groups=[row["case"] for row in rows],
        bars={label: [number(row, name) for row in rows] for name, label in names.items()},
        x="milliseconds a step, one thread",
        title="The SGLD step (sgld: with noise; sgd: without)",
        log=True,
    )


def draw_counting(rows: list[Row]) -> None:
    """Draw the speed of counting beside a numpy gather."""
    genes = [number(row, "genes_per_ns") or 0.0 for row in rows]
    ratios = [number(row, "times_numpy") or 1.0 for row in rows]
    save_bars(
        "counting",
        groups=[row["case"].removeprefix("count_madds/") for row in rows],
        bars={
            "stnas": genes,
            "stnas, two threads": [number(row, "genes_per_ns_two") for row in rows],
            "numpy gather": [g / r for g, r in zip(genes, ratios, strict=True)],
        },
        x="genes counted in a nanosecond (the line: 1e9 a second)",
        title="Counting: architectures x genes, of so many choices",
        log=True,
        level=1.0,
    )


def draw_pareto(rows: list[Row]) -> None:
    """Draw the time of the non-dominated sort by the number of points, for two objectives."""
    systems = [name for name in rows[0] if name != "case"]
    curves: dict[str, Points] = {}
    for system in systems:
        found = [
            (float(row["case"].partition("/")[2].partition("x")[0]), number(row, system))
            for row in rows
            if row["case"].startswith("nondominated_sort") and row["case"].endswith("x2")
        ]
        known = [(count, time) for count, time in found if time is not None]
        curves[system] = ([count for count, _ in known], [time for _, time in known])
    save_plot(
        "pareto",
        x="points",
        y="milliseconds, one thread",
        title="Non-dominated sort, two objectives",
        lines=curves,
        log="xy",
    )
    several = [row for row in rows if row["case"].partition("x")[2] != "2"]
    save_bars(
        "pareto_objectives",
        groups=[row["case"].replace("_", " ").replace("/", ", ") for row in several],
        bars={name: [number(row, name) for row in several] for name in systems},
        x="milliseconds, one thread",
        title="Pareto operators, three and five objectives (points x objectives)",
        log=True,
    )


def draw_shared_prefix(rows: list[Row]) -> None:
    """Draw what sharing saves by generation."""
    curves: dict[str, Points] = {}
    for case in dict.fromkeys(row["case"] for row in rows):
        own = [row for row in rows if row["case"] == case]
        ratios = [float(row["alone"]) / float(row["shared"]) for row in own]
        curves[case] = ([float(row["generation"]) for row in own], ratios)
    save_plot(
        "shared_prefix",
        x="generation",
        y="times faster: CPU seconds alone / shared",
        title="Candidates that begin alike, scored together",
        lines=curves,
        level=1.0,
    )


def draw_search_profile(rows: list[Row]) -> None:
    """Draw where the time of a search goes, generation by generation."""
    names = {"total": "all", "kernels": "inside kernels", "rest": "the rest", "trie": "the trie"}
    generations = [float(row["generation"]) for row in rows]
    save_plot(
        "search_profile",
        x="generation",
        y="CPU seconds, one thread",
        title="A search of 45 x 22",
        lines={label: (generations, [float(row[n]) for row in rows]) for n, label in names.items()},
        log="y",
    )


DRAW: dict[str, Callable[[list[Row]], None]] = {
    "sgld": draw_sgld,
    "counting": draw_counting,
    "pareto": draw_pareto,
    "shared_prefix": draw_shared_prefix,
    "search_profile": draw_search_profile,
}


def draw(*names: str) -> None:
    """Draw the saved tables of these names, of all that there are without any."""
    for name in names or [name for name in DRAW if (RESULTS / f"{name}.csv").exists()]:
        DRAW[name](load(name))


if __name__ == "__main__":
    draw(*sys.argv[1:])
