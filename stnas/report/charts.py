"""Make the charts of the page as Plotly figures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from plotly import graph_objects as go
from plotly.subplots import make_subplots

from stnas.report.load import Record, Row

BINS = 80
COLOURS = ("#3f7ee8", "#e2722e", "#2fa36b", "#b755c9", "#d9a514", "#d64545", "#24a5b8", "#8a7a66")
SCALE = [[0.0, "#4f8bf0"], [0.5, "#b06fd0"], [1.0, "#f0883e"]]
_HOVER = "%{x:,} MAdds, %{y:.2f} %<br>%{text}<extra></extra>"


def charts(record: Record) -> dict[str, go.Figure]:
    """Return the charts for which the run has data, by the name of their place on the page."""
    made = {
        "scatter": _scatter(record) if record.archive else None,
        "hypervolume": _hypervolume(record),
        "distribution": _distribution(record),
        "training": _training(record),
        "retraining": _retraining(record),
    }
    return {name: figure for name, figure in made.items() if figure is not None}


def _scatter(record: Record) -> go.Figure:
    """Show every evaluated architecture, the front, the choices and the retrained networks."""
    rows = record.archive
    figure = go.Figure(
        go.Scatter(
            **_points(rows, "accuracy"),
            mode="markers",
            name="evaluated",
            marker={
                "size": 6,
                "opacity": 0.75,
                "color": [row["generation"] + 1 for row in rows],
                "colorscale": SCALE,
                "colorbar": {"title": {"text": "generation"}},
            },
        )
    )
    front = sorted(record.front, key=lambda row: row["madds"])
    if front:
        figure.add_scatter(
            **_points(front, "accuracy"),
            mode="lines",
            name="front",
            line={"color": "#d64545", "width": 2, "shape": "hv"},
        )
    if record.choices:
        figure.add_scatter(
            **_points(record.choices, "accuracy"),
            mode="markers",
            name="chosen, shared weights",
            marker={"symbol": "star", "size": 15, "color": "#d64545"},
        )
    for role, colour in (("chosen", "#2fa36b"), ("random", "#8a8f98"), ("baseline", "#d9a514")):
        networks = [row for row in record.networks if row["role"] == role]
        if networks:
            figure.add_scatter(
                **_points(networks, "test_accuracy"),
                mode="markers",
                name=f"{role}, test after retraining",
                marker={"symbol": "diamond", "size": 11, "color": colour},
            )
    return layout(figure, "multiply-adds", "accuracy (%)", legend_above=True)


def _points(rows: Sequence[Row], accuracy: str) -> Row:
    """Return places, texts and tooltip of a series of networks."""
    labels = [
        f"{row['name']}: {row['genotype']}" if "name" in row else row["genotype"] for row in rows
    ]
    return {
        "x": [row["madds"] for row in rows],
        "y": [100 * row[accuracy] for row in rows],
        "text": [plain(label) for label in labels],
        "hovertemplate": _HOVER,
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
    return layout(figure, "generation", "hypervolume (share)")


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
            hovertemplate="about %{x:,.0f} MAdds: %{y:.2f} %<extra></extra>",
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


def _training(record: Record) -> go.Figure | None:
    """Show loss and accuracy of the hyper-network by epoch; SGLD goes on behind training."""
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.1)
    behind = 0
    for stage, name, colour in (("train", "training", COLOURS[0]), ("sgld", "SGLD", COLOURS[1])):
        rows = [row for row in record.metrics if row.get("stage") == stage and "epoch" in row]
        _pair(figure, rows, name, colour, behind=behind)
        behind = max([behind, *(row["epoch"] + 1 for row in rows)])
    return _curves(figure, "training loss", "training accuracy (%)")


def _retraining(record: Record) -> go.Figure | None:
    """Show loss and test accuracy of every network that is trained on its own."""
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.1)
    histories: dict[str, list[Any]] = {row["name"]: row["history"] for row in record.networks}
    if not histories:
        for row in record.metrics:
            if row.get("stage") == "retrain" and "epoch" in row:
                histories.setdefault(str(row.get("network")), []).append(row)
    for number, (name, rows) in enumerate(histories.items()):
        _pair(figure, rows, plain(name), COLOURS[number % len(COLOURS)])
    return _curves(figure, "training loss", "test accuracy (%)")


def _pair(
    figure: go.Figure, rows: Sequence[Row], name: str, colour: str, *, behind: int = 0
) -> None:
    """Add the loss and the accuracy of some epochs to a pair of charts."""
    for column, key, scale in ((1, "loss", 1.0), (2, "accuracy", 100.0)):
        kept = [row for row in rows if key in row]
        if kept:
            figure.add_scatter(
                x=[behind + row["epoch"] + 1 for row in kept],
                y=[scale * row[key] for row in kept],
                mode="lines" if len(kept) > 1 else "markers",
                name=name,
                legendgroup=name,
                line={"color": colour},
                showlegend=column == 1,
                row=1,
                col=column,
            )


def _curves(figure: go.Figure, left: str, right: str) -> go.Figure | None:
    """Title the axes of a pair of charts; None if nothing was drawn."""
    if not figure.data:
        return None
    figure.update_yaxes(title_text=right, col=2)
    figure.update_xaxes(title_text="epoch", col=2)
    return layout(figure, "epoch", left, legend_above=True)


def layout(figure: go.Figure, x: str, y: str, *, legend_above: bool = False) -> go.Figure:
    """Give a figure the layout that all share; colours come from the page's theme."""
    figure.update_layout(
        template="none",
        height=420,
        margin={"l": 64, "r": 24, "t": 48, "b": 56},
        autosize=True,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis_title_text=x,
        yaxis_title_text=y,
    )
    if legend_above:
        figure.update_layout(legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    return figure
