"""Make the charts of a ranking that was held against training from scratch."""

import re
from collections.abc import Sequence

from plotly import graph_objects as go
from plotly.colors import sample_colorscale

from stnas.report.charts import COLOURS, SCALE, layout, plain
from stnas.report.load import Ranking, Row

FORMS = {
    "checkpoint": "nothing (median)",
    "parameters": "weights",
    "scores": "scores",
    "bound": "scores less s.d.",
    "network": "nothing (tuned)",
}
"""What an estimator averages, in words."""
SHOWN = ("single", "none", "posterior")
"""Ways whose scores are visible before the reader chooses."""
FOLLOWED = 10
"""Architectures whose ranks are followed over the epochs."""
_SYMBOLS = ("circle", "diamond")
_EPOCH = re.compile(r"epoch-(\d{1,9})")


def ranking_charts(ranking: Ranking) -> dict[str, go.Figure]:
    """Return the charts for which the ranking has data, by the name of their place on the page."""
    made = {
        "rank-tau": _agreement(ranking),
        "rank-scores": _scores(ranking),
        "rank-epochs": _epochs(ranking),
    }
    return {name: figure for name, figure in made.items() if figure is not None}


def main_rows(table: Sequence[Row]) -> list[Row]:
    """List the estimators that take the accuracy with recalibrated BN statistics."""
    return [r for r in table if r.get("statistics") == "own" and r.get("measure") == "accuracy"]


def _agreement(ranking: Ranking) -> go.Figure | None:
    """Show tau-b and its interval by estimator, a trace for each thing that can be averaged."""
    rows = [row for row in main_rows(ranking.table) if row["tau"] is not None]
    if not rows:
        return None
    figure = go.Figure()
    for number, (form, words) in enumerate(FORMS.items()):
        kept = [row for row in rows if row["form"] == form]
        if kept:
            figure.add_scatter(
                x=[row["tau"] for row in kept],
                y=[_label(row) for row in kept],
                error_x={
                    "type": "data",
                    "array": [_reach(row["tau"], row["tau_high"]) for row in kept],
                    "arrayminus": [_reach(row["tau_low"], row["tau"]) for row in kept],
                    "thickness": 1.5,
                    "width": 4,
                },
                mode="markers",
                name=words,
                marker={"size": 9, "color": COLOURS[number]},
                hovertemplate="%{y}: tau-b %{x:.3f}<extra></extra>",
            )
    labels = [_label(row) for row in rows]
    _mark_references(figure, ranking.table)
    layout(figure, "tau-b with its 95 % interval", "", legend_above=True)
    figure.update_yaxes(
        type="category", categoryarray=labels, autorange="reversed", automargin=True, title_text=""
    )
    return figure.update_layout(height=190 + 24 * len(labels), margin_t=84)


def _label(row: Row) -> str:
    """Name an estimator on an axis."""
    averages = row["form"] in ("parameters", "scores", "bound")
    return plain(row["way"]) + (f", {FORMS[row['form']]}" if averages else "")


def _reach(low: float | None, high: float | None) -> float:
    """Return the length of an arm of an interval; a bootstrap may leave the figure outside."""
    return 0.0 if low is None or high is None else max(0.0, high - low)


def _mark_references(figure: go.Figure, table: Sequence[Row]) -> None:
    """Draw what size alone reaches and what the ground truth reaches of itself."""
    for way, form, words, colour in (
        ("madds", "baseline", "multiply-adds alone", "#8a8f98"),
        (None, "ceiling", "ceiling", "#d64545"),
    ):
        for row in table:
            if row["form"] == form and way in (None, row["way"]) and row["tau"] is not None:
                figure.add_vline(
                    x=row["tau"],
                    line={"color": colour, "dash": "dash", "width": 2},
                    name=f"{words}: {row['tau']:.2f}",
                    showlegend=True,
                )


def _scores(ranking: Ranking) -> go.Figure | None:
    """Show the score of each architecture against what it reaches from scratch, by way."""
    figure, truth, found = go.Figure(), ranking.truth, ranking.scored()
    ways = [way for way in ranking.ways if _final(way, found) is not None]
    shown = [way for way in ways if way in SHOWN] or ways[:1]
    for way in ways:
        figure.add_scatter(
            x=[100 * value for value in _final(way, found) or []],
            y=[100 * value for value in truth],
            text=[_facts(row) for row in ranking.architectures],
            mode="markers",
            name=plain(way),
            visible=True if way in shown else "legendonly",
            marker={"size": 9, "opacity": 0.8, **look(ranking, way)},
            hovertemplate="score %{x:.2f} %, true %{y:.2f} %<br>%{text}",
        )
    return layout(figure, "score: accuracy held out (%)", "true accuracy (%)")


def _final(way: str, found: dict[tuple[str, str], list[float]]) -> list[float] | None:
    """Return the scores by the mean of a way's weights, or by its last ones."""
    return found.get((way, "mean"), found.get((way, "trained")))


def look(ranking: Ranking, way: str) -> Row:
    """Return colour and symbol of a way, the same in every chart."""
    number = ranking.ways.index(way)
    symbol = _SYMBOLS[number // len(COLOURS) % len(_SYMBOLS)]
    return {"color": COLOURS[number % len(COLOURS)], "symbol": symbol}


def _facts(row: Row) -> str:
    """Say which architecture it is and what it reached in each training."""
    reached = ", ".join(f"{100 * value:.2f} %" for value in row["truth"])
    return f"{plain(row['genotype'])}<br>{row['madds']:,} multiply-adds, from scratch {reached}"


def _epochs(ranking: Ranking) -> go.Figure | None:
    """Follow the ranks of some architectures under the weights of the last epochs (figure 5)."""
    found, truth = ranking.scored(), ranking.truth
    places = {
        int(match[1]) + 1: values
        for (way, weights), values in found.items()
        if way == "single" and (match := _EPOCH.fullmatch(weights))
    }
    if not places or ("single", "trained") not in found:
        return None
    last = max(places) + 1
    places[last] = found["single", "trained"]
    times, members = sorted(places), _spread(len(truth), FOLLOWED)
    ranks = [_ranks([places[time][i] for i in members]) for time in times]
    true = _ranks([truth[i] for i in members])
    end = last + max(1.0, 0.12 * (last - times[0]))
    figure = go.Figure()
    for place in sorted(range(len(members)), key=lambda k: true[k]):
        row, share = ranking.architectures[members[place]], true[place] - 1
        colour = sample_colorscale(SCALE, share / max(1, len(members) - 1))[0]
        figure.add_scatter(
            x=[*times, end],
            y=[*(column[place] for column in ranks), true[place]],
            text=[_facts(row)] * (len(times) + 1),
            mode="lines+markers",
            name=f"{row['madds']:,} multiply-adds",
            line={"color": colour, "width": 2},
            marker={"size": [6] * len(times) + [12], "opacity": 1, "line": {"width": 0}},
            hovertemplate="rank %{y}<br>%{text}<extra></extra>",
        )
    return _rank_axes(figure, times, end, len(members))


def _rank_axes(figure: go.Figure, times: list[int], end: float, count: int) -> go.Figure:
    """Label the epochs, the truth behind them, and the ranks from the best down."""
    ticks = times[:: -(-len(times) // 20)]
    layout(figure, "epoch", "rank by accuracy")
    figure.update_xaxes(
        tickvals=[*ticks, end], ticktext=[*map(str, ticks), "from scratch"], zeroline=False
    )
    figure.update_yaxes(range=[count + 0.5, 0.5], dtick=1, zeroline=False)
    return figure


def _spread(count: int, most: int) -> list[int]:
    """Pick at most ``most`` of ``count`` positions, from the first to the last."""
    if count <= most:
        return list(range(count))
    return [i * (count - 1) // (most - 1) for i in range(most)]


def _ranks(values: list[float]) -> list[float]:
    """Return the ranks, 1 for the greatest; equal values share their mean rank."""
    return [
        1 + sum(other > value for other in values) + (values.count(value) - 1) / 2
        for value in values
    ]
