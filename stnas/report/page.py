"""Put tables, charts and drawings into one page that needs no network."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from stnas.report.charts import charts
from stnas.report.drawing import draw, line_width
from stnas.report.load import STAGES, Record, Row
from stnas.space import SearchSpace

_HERE = Path(__file__).parent
_SHARES = (0.01, 0.05, 0.2)


def render(record: Record) -> str:
    """Return the page of a run as HTML; every text of the run is escaped."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "count": _count, "gain": _gain}
    return environment.get_template("page.html").render(
        record=record,
        networks=table(record),
        missing=[stage for stage in STAGES if stage not in record.results],
        drawings=drawings(record),
        kernels=record.space.spec.kernels,
        widths=[(share, line_width(share)) for share in _SHARES],
        figures=figures(record),
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup((_HERE / "page.js").read_text(encoding="utf-8")),
        plotly=Markup(get_plotlyjs()),
    )


def table(record: Record) -> list[Row]:
    """List the chosen networks, each followed by its random twins, with what is known of them.

    gain: test accuracy after retraining less the mean of the random twins'.
    """
    if not record.networks:
        return [
            {
                **choice,
                "role": "chosen",
                "validation_accuracy": choice["accuracy"],
                "test_accuracy_before": None,
                "test_accuracy": None,
                "gain": None,
            }
            for choice in record.choices
        ]
    return [
        {**network, "gain": _gain_over_twins(network, record.networks)}
        for network in record.networks
    ]


def _gain_over_twins(network: Row, networks: list[Row]) -> float | None:
    """Return the lead of a chosen network over the mean of its twins; None without twins."""
    twins = [
        row["test_accuracy"]
        for row in networks
        if row["role"] == "random" and row["name"].startswith(f"{network['name']}-random-")
    ]
    if network["role"] != "chosen" or not twins:
        return None
    return float(network["test_accuracy"] - sum(twins) / len(twins))


def drawings(record: Record) -> list[Row]:
    """Draw every choice, with its name, genotype and cost."""
    return [
        {
            **choice,
            "edges": _edges(record.space, choice["genotype"]),
            "svg": Markup(
                draw(
                    record.space,
                    record.space.parse(choice["genotype"]),
                    title=f"architecture {choice['name']}",
                )
            ),
        }
        for choice in record.choices
    ]


def _edges(space: SearchSpace, text: str) -> list[str]:
    """List the edges of an architecture in words."""
    return space.describe(space.parse(text))


def figures(record: Record) -> dict[str, Markup]:
    """Return the charts as JSON that may stand inside a script element."""
    return {
        name: Markup(str(figure.to_json()).replace("<", "\\u003c"))
        for name, figure in charts(record).items()
    }


def _percent(value: float | None) -> str:
    """Format a share; a dash where there is none."""
    return "\u2014" if value is None else f"{100 * value:.2f} %"


def _gain(value: float | None) -> str:
    """Format a difference of shares in percentage points."""
    return "" if value is None else f"{100 * value:+.2f}"


def _count(value: Any) -> str:
    """Format an integer, or a very large one by its power of ten."""
    return f"{value:,.0f}" if value < 10**15 else f"{value:.2e}"
