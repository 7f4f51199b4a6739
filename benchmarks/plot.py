"""Pictures of the results: ``benchmarks/results/<name>.svg``, beside the table that they show."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from record import RESULTS

Points = tuple[Sequence[float], Sequence[float]]
"""The x and the y of some points, one or more."""

COLOURS = ("#0b62a4", "#d1495b", "#3a7d44", "#edae49", "#6d597a", "#555555")
# Text stays text, small and searchable, and one table gives one file, byte for byte.
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "stnas", "font.size": 9})


def save_plot(
    name: str,
    *,
    x: str,
    y: str,
    title: str,
    dots: Mapping[str, Points] | None = None,
    lines: Mapping[str, Points] | None = None,
    log: str = "",
    level: float | None = None,
) -> None:
    """Draw named clouds and named lines over labelled axes and save them as SVG.

    x, y: what the axes show, with its unit. log: the axes with a logarithmic scale, of "x", "y".
    level: a horizontal line, such as "equally fast".
    """
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    clouds, curves = dict(dots or {}), dict(lines or {})
    names = list(dict.fromkeys([*clouds, *curves]))
    colours = {n: COLOURS[i % len(COLOURS)] for i, n in enumerate(names)}
    for label, points in clouds.items():
        axes.scatter(*points, s=14, alpha=0.7, label=label, color=colours[label], linewidths=0)
    for label, points in curves.items():
        axes.plot(*points, marker=".", label=label, color=colours[label])
    if level is not None:
        axes.axhline(level, color="#999999", linewidth=1, linestyle="--")
    for letter, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        if letter in log:
            axes.set(**{f"{letter}scale": "log"})
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if len(names) > 1:
        axes.legend(frameon=False)
    figure.savefig(RESULTS / f"{name}.svg", metadata={"Date": None})
