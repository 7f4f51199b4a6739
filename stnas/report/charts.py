"""Make the charts of the page as Plotly figures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from plotly import graph_objects as go

from stnas.report.decision import searched_by, words_of
from stnas.report.load import Record, Row

BINS = 80
COLOURS = ("#3f7ee8", "#e2722e", "#2fa36b", "#b755c9", "#d9a514", "#d64545", "#24a5b8", "#8a7a66")
SCALE = [[0.0, "#4f8bf0"], [0.5, "#b06fd0"], [1.0, "#f0883e"]]
MEASURES = {"loss": ("loss", 1.0), "accuracy": ("accuracy (%)", 100.0)}
"""What curves show: the words for it, and the factor."""
ROLES = {
    "random": ("random networks", "#8a8f98"),
    "baseline": ("hand-made networks", "#d9a514"),
    "again": ("further trainings", "#7fb79a"),
    "scaled": ("found networks, other widths", "#3d7ea6"),
    "chosen": ("found networks", "#2fa36b"),
}
"""What trained networks are: the words for it, and the colour. The last one is drawn on top."""


def charts(record: Record) -> dict[str, go.Figure]:
    """Return the charts for which the run has data, by the name of their place on the page."""
    made = {
        "scatter": _scatter(record) if record.archive else None,
        "retrained": _retrained(record) if record.networks else None,
        "hypervolume": _hypervolume(record),
        "distribution": _distribution(record),
        **{f"training-{key}": _training(record, key) for key in MEASURES},
        **{f"retraining-{key}": _retraining(record, key) for key in MEASURES},
    }
    return {name: figure for name, figure in made.items() if figure is not None}


def _scatter(record: Record) -> go.Figure:
    """Show every evaluated architecture, the front and the choices, under the shared weights."""
    rows = record.archive
    cost = _shared_cost(record, rows)
    figure = go.Figure(
        go.Scatter(
            **_points(rows, "accuracy", cost),
            mode="markers",
            name="evaluated",
            marker={
                "size": 6,
                "opacity": 0.75,
                "color": [row["generation"] + 1 for row in rows],
                "colorscale": SCALE,
            },
        )
    )
    front = sorted(record.front, key=lambda row: row[cost])  # type: ignore[literal-required]
    if front:
        figure.add_scatter(
            **_points(front, "accuracy", cost),
            mode="markers",
            name="front",
            marker={"color": "rgba(0,0,0,0)", "size": 9, "line": {"color": "#d64545", "width": 2}},
        )
    if record.choices:
        figure.add_scatter(
            **_points(record.choices, "accuracy", cost),
            mode="markers",
            name="chosen",
            marker={"symbol": "star", "size": 15, "color": "#d64545"},
        )
    figure.add_scatter(
        x=[],
        y=[],
        mode="markers",
        name="selected",
        hoverinfo="skip",
        marker={"symbol": "circle-open", "size": 18, "color": "#e2722e", "line": {"width": 3}},
    )
    return layout(figure, words_of(cost), "accuracy, held-out images (%)", legend_above=True)


def _retrained(record: Record) -> go.Figure:
    """Show the networks that were trained on their own, by what they are."""
    figure, cost = go.Figure(), _shared_cost(record, record.networks)
    for role, (name, colour) in ROLES.items():
        networks = [row for row in record.networks if row["role"] == role]
        if networks:
            figure.add_scatter(
                **_points(networks, "test_accuracy", cost),
                mode="markers",
                name=name,
                marker={"symbol": "diamond", "size": 11, "color": colour},
            )
    return layout(figure, words_of(cost), "accuracy, test images (%)", legend_above=True)


def _shared_cost(record: Record, rows: Sequence[Row]) -> str:
    """Return the cost that was searched by, where every network has it; multiply-adds otherwise."""
    cost = searched_by(record)
    known = all(cost in row for row in (*rows, *record.front, *record.choices))
    return cost if known else "madds"


def _points(rows: Sequence[Row], accuracy: str, cost: str) -> Row:
    """Return places by a cost, texts and tooltip of a series of networks."""
    labels = [
        f"{row['name']}: {row['genotype']}" if "name" in row else row["genotype"] for row in rows
    ]
    return {
        "x": [row[cost] for row in rows],
        "y": [100 * row[accuracy] for row in rows],
        "text": [plain(label) for label in labels],
        "hovertemplate": f"%{{x:,}} {words_of(cost)}, %{{y:.2f}} %<br>%{{text}}<extra></extra>",
    }


def plain(text: str) -> str:
    """Keep Plotly from reading mark-up out of a text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _hypervolume(record: Record) -> go.Figure | None:
    """Show the hypervolume by generation."""
    rows = [row for row in record.metrics if row.get("stage") == "search" and "hypervolume" in row]
    if not rows:
        return None
    figure = go.Figure(
        go.Scatter(
            x=[row["generation"] + 1 for row in rows],
            y=[row["hypervolume"] for row in rows],
            mode="lines+markers",
            line={"color": COLOURS[0]},
            name="hypervolume",
        )
    )
    return layout(figure, "generation", "area covered (share)")


def _distribution(record: Record) -> go.Figure:
    """Show the MAdds of the sampler's architectures: probabilities of bins that hold 99.9 %."""
    exact = record.distribution
    ends = exact.quantile(0.0005), exact.quantile(0.9995)
    share, edges = np.histogram(exact.values, bins=BINS, weights=exact.probabilities, range=ends)
    centres = (edges[:-1] + edges[1:]) / 2
    figure = go.Figure(
        go.Bar(
            x=centres.tolist(),
            y=(100 * share).tolist(),
            marker={"color": COLOURS[0]},
            name="sampled",
            hovertemplate="about %{x:,.0f} multiply-adds: %{y:.2f} %<extra></extra>",
        )
    )
    marks = [("mean", record.train["expected_madds"], "#e2722e")]
    if record.madds_target is not None:
        marks.append(("target", record.madds_target, "#2fa36b"))
    marks += [(row["name"], row["madds"], "#d64545") for row in record.choices]
    for number, (name, place, colour) in enumerate(marks):
        figure.add_vline(x=place, line={"color": colour, "dash": "dash", "width": 2})
        figure.add_annotation(
            x=place,
            y=1.0 - 0.08 * (number % 4),
            yref="paper",
            showarrow=False,
            text=plain(name),
            xanchor="left",
            xshift=4,
            font={"color": colour},
        )
    figure.update_layout(bargap=0.05, showlegend=False)
    return layout(figure, "multiply-adds", "probability (%)")


def _training(record: Record, key: str) -> go.Figure | None:
    """Show a measure of the hyper-network by epoch; SGLD goes on behind training."""
    figure, behind = go.Figure(), 0
    for stage, name, colour in (("train", "training", COLOURS[0]), ("sgld", "SGLD", COLOURS[1])):
        rows = [row for row in record.metrics if row.get("stage") == stage and "epoch" in row]
        _curve(figure, rows, key, name, colour, behind=behind)
        behind = max([behind, *(row["epoch"] + 1 for row in rows)])
    return _titled(figure, f"training {MEASURES[key][0]}")


def _retraining(record: Record, key: str) -> go.Figure | None:
    """Show a measure of every network that is trained on its own; twins share a legend."""
    histories: dict[str, tuple[str, list[Any]]] = {
        row["name"]: (row["role"], row["history"]) for row in record.networks
    }
    if not histories:
        for row in record.metrics:
            if row.get("stage") == "retrain" and "epoch" in row:
                _, rows = histories.setdefault(str(row.get("network")), ("chosen", []))
                rows.append(row)
    figure = go.Figure()
    order = sorted(histories.items(), key=lambda item: list(ROLES).index(item[1][0]))
    for number, (name, (role, rows)) in enumerate(order):
        own = role == "chosen"
        colour = COLOURS[number % len(COLOURS)] if own else ROLES[role][1]
        group = None if own else ROLES[role][0]
        _curve(figure, rows, key, plain(name), colour, group=group)
    words = "training loss" if key == "loss" else "test accuracy (%)"
    return _titled(figure, words)


def _curve(
    figure: go.Figure,
    rows: Sequence[Row],
    key: str,
    name: str,
    colour: str,
    *,
    behind: int = 0,
    group: str | None = None,
) -> None:
    """Add a measure of some epochs; group: what curves are called that have one legend."""
    kept, scale = [row for row in rows if key in row], MEASURES[key][1]
    shown = group is None or all(trace.legendgroup != group for trace in figure.data)
    if kept:
        figure.add_scatter(
            x=[behind + row["epoch"] + 1 for row in kept],
            y=[scale * row[key] for row in kept],
            mode="lines" if len(kept) > 1 else "markers",
            name=group or name,
            legendgroup=group or name,
            line={"color": colour, "width": 2 if group is None else 1},
            showlegend=shown,
            hovertemplate=f"{name}, epoch %{{x}}: %{{y:.4g}}<extra></extra>",
        )


def _titled(figure: go.Figure, y: str) -> go.Figure | None:
    """Title the axes of curves; None if nothing was drawn."""
    return layout(figure, "epoch", y, legend_above=True) if figure.data else None


def layout(figure: go.Figure, x: str, y: str, *, legend_above: bool = False) -> go.Figure:
    """Give a figure the layout that all share; colours come from the page's theme."""
    figure.update_layout(
        template="none",
        height=420,
        margin={"l": 56, "r": 16, "t": 48, "b": 56},
        autosize=True,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis_title_text=x,
        yaxis_title_text=y,
    )
    if legend_above:
        figure.update_layout(legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    return figure
