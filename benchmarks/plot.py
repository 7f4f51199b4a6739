"""Pictures of the results: ``benchmarks/results/<name>.svg``, beside the table that they show."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray
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


def save_bars(
    name: str,
    *,
    groups: Sequence[str],
    bars: Mapping[str, Sequence[float | None]],
    x: str,
    title: str,
    log: bool = False,
    level: float | None = None,
) -> None:
    """Draw named bars, one for each group and None for no bar, with their numbers; save as SVG.

    Groups stand below each other. x: what the length shows, with its unit. level: a vertical line.
    """
    thick = 0.8 / len(bars)
    figure = Figure(
        figsize=(7.2, 1.3 + len(groups) * (0.17 * len(bars) + 0.2)), layout="constrained"
    )
    axes = figure.subplots()
    for row, (label, values) in enumerate(bars.items()):
        known = [(i, value) for i, value in enumerate(values) if value is not None]
        places = [i + (row - (len(bars) - 1) / 2) * thick for i, _ in known]
        lengths = [value for _, value in known]
        colour = COLOURS[row % len(COLOURS)]
        drawn = axes.barh(places, lengths, thick * 0.9, label=label, color=colour)
        axes.bar_label(drawn, [f"{length:.3g}" for length in lengths], padding=3, fontsize=8)
    if level is not None:
        axes.axvline(level, color="#444444", linewidth=1, linestyle="--")
    if log:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.1)
    axes.set(xlabel=x, title=title)
    axes.set_yticks(range(len(groups)), groups)
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if len(bars) > 1:
        figure.legend(frameon=False, loc="outside lower center", ncols=len(bars))
    figure.savefig(RESULTS / f"{name}.svg", metadata={"Date": None})


def save_intervals(
    name: str,
    *,
    labels: Sequence[str],
    middles: Sequence[float],
    ends: Sequence[tuple[float, float]],
    dots: Sequence[Sequence[float]],
    x: str,
    title: str,
    level: float | None = None,
) -> None:
    """Draw one interval a row, with its middle and further dots, and save as SVG.

    x: what the places show. level: a vertical line.
    """
    figure = Figure(figsize=(7.2, 1.2 + 0.23 * len(labels)), layout="constrained")
    axes = figure.subplots()
    for row, ((low, high), middle, points) in enumerate(zip(ends, middles, dots, strict=True)):
        axes.plot([low, high], [row, row], color="#9db8d6", linewidth=5, solid_capstyle="butt")
        axes.scatter(points, [row] * len(points), s=10, color="#555555", linewidths=0, zorder=3)
        axes.scatter([middle], [row], s=34, marker="|", color=COLOURS[1], linewidths=2, zorder=4)
    if level is not None:
        axes.axvline(level, color=COLOURS[2], linewidth=1, linestyle="--")
    axes.set(xlabel=x, title=title)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(RESULTS / f"{name}.svg", metadata={"Date": None})


def save_bumps(
    name: str, *, ranks: NDArray[np.float64], labels: Sequence[str], title: str, x: str = ""
) -> None:
    """Draw how the ranks ``[columns, n]`` of n things change from column to column; save as SVG.

    The highest rank is above. Colours follow the ranks of the middle column.
    """
    columns, count = ranks.shape
    figure = Figure(figsize=(7.2, max(3.2, 1.2 + 0.14 * count)), layout="constrained")
    axes = figure.subplots()
    order = np.argsort(np.argsort(ranks[columns // 2], kind="stable"))
    for row in range(count):
        colour = mpl.colormaps["viridis"](order[row] / max(1, count - 1))
        axes.plot(range(columns), ranks[:, row], marker="o", markersize=4, color=colour)
    axes.set(xlabel=x, ylabel="rank (the highest is best)", title=title)
    axes.set_xticks(range(columns), labels)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(RESULTS / f"{name}.svg", metadata={"Date": None})
