"""Make the charts of how sure the samples of a chain are that one architecture is better."""

from plotly import graph_objects as go

from stnas.report.charts import layout, plain
from stnas.report.load import Ranking
from stnas.report.ranking import look

_PREFERENCE = [[0.0, "#3f7ee8"], [0.5, "#c9ccd1"], [1.0, "#e2722e"]]
HEIGHT = 500


def confidence_charts(ranking: Ranking) -> dict[str, go.Figure]:
    """Return the charts of the chains, by the name of their place; none without a chain."""
    way = shown_chain(ranking)
    if way is None:
        return {}
    charts = {"rank-calibration": _calibration(ranking)}
    if ranking.posterior[way]["better"] is None:
        return charts
    return {"rank-better": _better(ranking, way), **charts}


def _better(ranking: Ranking, way: str) -> go.Figure:
    """Show how probable the samples of a chain hold one architecture to be better than another."""
    truth, better = ranking.truth, ranking.posterior[way]["better"]
    order = sorted(range(len(truth)), key=lambda i: -truth[i])
    labels = [
        f"{plain(ranking.architectures[i]['genotype'])}<br>{100 * truth[i]:.2f} % from scratch"
        for i in order
    ]
    figure = go.Figure(
        go.Heatmap(
            x=labels,
            y=labels,
            z=[[None if i == j else 100 * better[i][j] for j in order] for i in order],
            zmin=0,
            zmax=100,
            colorscale=_PREFERENCE,
            colorbar={"title": {"text": "%"}, "thickness": 14},
            xgap=1,
            ygap=1,
            hovertemplate="%{y}<br>better with %{z:.1f} % than<br>%{x}<extra></extra>",
        )
    )
    layout(figure, "than this one, truly best first", "this one is better, truly best first")
    bare = {"type": "category", "showticklabels": False, "ticks": "", "showgrid": False}
    figure.update_xaxes(**bare)
    figure.update_yaxes(**bare, autorange="reversed", scaleanchor="x", constrain="domain")
    return figure.update_layout(height=HEIGHT)


def shown_chain(ranking: Ranking) -> str | None:
    """Name the chain whose probabilities are drawn: ``posterior``, or the first there is."""
    chains = ranking.posterior
    return "posterior" if "posterior" in chains else next(iter(chains), None)


def _calibration(ranking: Ranking) -> go.Figure:
    """Show how often a comparison is right against how sure the samples are of it, by chain."""
    figure = go.Figure()
    most = max((b["pairs"] for f in ranking.posterior.values() for b in f["bins"]), default=1)
    for way, found in ranking.posterior.items():
        bins = [row for row in found["bins"] if row["pairs"]]
        brier = "" if found["brier"] is None else f" (Brier {found['brier']:.3f})"
        figure.add_scatter(
            x=[100 * row["stated"] for row in bins],
            y=[100 * row["right"] for row in bins],
            text=[f"{row['pairs']:,} pairs" for row in bins],
            mode="lines+markers",
            name=plain(way) + brier,
            line={"width": 1.5},
            marker={
                **look(ranking, way),
                "size": [row["pairs"] for row in bins],
                "sizemode": "area",
                "sizeref": 2 * max(1, most) / 30**2,
                "sizemin": 4,
                "line": {"width": 0},
            },
            hovertemplate="stated %{x:.1f} %, right %{y:.1f} %, %{text}",
        )
    figure.add_scatter(
        x=[50, 100],
        y=[50, 100],
        mode="lines",
        name="as stated",
        line={"color": "#8a8f98", "dash": "dash"},
        hoverinfo="skip",
    )
    layout(figure, "stated probability (%)", "truly better (%)")
    figure.update_xaxes(range=[48, 102])
    figure.update_yaxes(range=[-4, 104])
    legend = {"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top"}
    return figure.update_layout(height=HEIGHT, legend=legend)
