"""Put tables, charts and drawings into one page that needs no network."""

from math import isfinite
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from stnas.learn.comparison import Lead, differs_when_balanced, leads, mean_lead
from stnas.report.architectures import architectures, compared, layers, operations
from stnas.report.charts import charts
from stnas.report.confidence import confidence_charts
from stnas.report.decision import candidates, decision, searched_by, words_of
from stnas.report.drawing import legend, line_width, width_of
from stnas.report.effort import duration, effort
from stnas.report.latency import latencies
from stnas.report.load import STAGES, Record, Row
from stnas.report.ranking import ranking_charts
from stnas.report.ranking_table import ranking_parts
from stnas.report.samples import Samples, shown_classes
from stnas.report.verdict import contests
from stnas.store.machine import processor

_HERE = Path(__file__).parent
_SHARES = (0.01, 0.05, 0.2)
_STYLES = ("page.css", "tables.css", "drawing.css")
_SCRIPTS = ("charts.js", "compare.js", "explore.js")


def render(record: Record, *, samples: Samples | None = None, watched: bool = False) -> str:
    """Return the page of a run as HTML; every text of the run is escaped.

    watched: whether the page looks for a newer one of itself every few seconds.
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": _percent,
        "count": _count,
        "gain": _gain,
        "points": _points,
        "figure": _figure,
        "range": _range,
        "duration": duration,
    }
    drawn = architectures(record)
    return environment.get_template("page.html").render(
        record=record,
        watched=watched,
        networks=table(record),
        decision=decision(record),
        alike=words_of(searched_by(record)),
        candidates=candidates(record),
        contests=_contests(record),
        mean_lead=_mean_lead(record),
        unequal=differs_when_balanced(record.networks),
        missing=[stage for stage in STAGES if stage not in record.results],
        ranking=None if record.ranking is None else ranking_parts(record.ranking),
        drawn=drawn,
        drawing_width=width_of(record.space),
        compared=compared(drawn),
        layers=layers(record),
        operations=operations(record),
        classes=shown_classes(record),
        samples=samples or Samples({}),
        latencies=latencies(record),
        effort=effort(record),
        machine=processor(),
        legend=legend(record.space),
        widths=[(share, line_width(share)) for share in _SHARES],
        figures=figures(record),
        style=_texts(_STYLES),
        script=_texts(_SCRIPTS),
        plotly=Markup(get_plotlyjs()),
    )


def _contests(record: Record) -> list[Row]:
    """List the limits of the verdict with its candidates, by what it and the search went by."""
    if "verdict" not in record.results:
        return []
    return contests(
        record.results["verdict"],
        searched=record.setting("search.measure", "loss"),
        judged=record.setting("verdict.measure", "loss"),
    )


def _texts(names: tuple[str, ...]) -> Markup:
    """Return some files of this folder, one after the other."""
    return Markup("\n".join((_HERE / name).read_text(encoding="utf-8") for name in names))


_UNKNOWN: Row = dict.fromkeys(("reached", "spread", "times", "gain", "half", "hand_made"))


def table(record: Record) -> list[Row]:
    """List the chosen networks, each followed by those of its size, with what is known of them.

    reached, spread: mean and standard deviation of the test accuracy over ``times`` trainings of a
    chosen network. gain: the mean less that of the random twins. half: half of its 95 % interval.
    hand_made: the mean less that of the best hand-made network.
    """
    if not record.networks:
        return [
            {
                **choice,
                "role": "chosen",
                "validation_accuracy": choice["accuracy"],
                "test_accuracy_before": None,
                "test_accuracy": None,
                "test_balanced_accuracy": None,
                "test_recalls": [],
                **_UNKNOWN,
            }
            for choice in record.choices
        ]
    found = {lead.name: lead for lead in leads(record.networks)}
    absent: Row = {"test_balanced_accuracy": None, "test_recalls": []}
    return [{**absent, **row, **_led(found.get(row["name"]), row)} for row in record.networks]


def _led(lead: Lead | None, network: Row) -> Row:
    """Return the leads of a chosen network and half of the interval; None where there are none."""
    if lead is None or network["role"] != "chosen":
        return _UNKNOWN
    return {
        "reached": lead.accuracy,
        "spread": lead.spread,
        "times": len(lead.trainings),
        "gain": lead.lead,
        "half": lead.half if isfinite(lead.half) else None,
        "hand_made": lead.lead_over_hand_made,
    }


def _mean_lead(record: Record) -> tuple[float, float | None] | None:
    """Return the mean lead over random twins and half of its interval; None where unknown."""
    mean = mean_lead(leads(record.networks))
    return None if mean is None else (mean[0], mean[1] if isfinite(mean[1]) else None)


def figures(record: Record) -> dict[str, Markup]:
    """Return the charts as JSON that may stand inside a script element."""
    made = charts(record)
    if record.ranking is not None:
        made |= ranking_charts(record.ranking) | confidence_charts(record.ranking)
    return {
        name: Markup(str(figure.to_json()).replace("<", "\\u003c")) for name, figure in made.items()
    }


def _percent(value: float | None, digits: int = 2) -> str:
    """Format a share; a dash where there is none."""
    return "\u2014" if value is None else f"{100 * value:.{digits}f} %"


def _gain(value: float | None) -> str:
    """Format a difference of shares in percentage points."""
    return "" if value is None else f"{100 * value:+.2f}"


def _points(value: float | None) -> str:
    """Format a loss of accuracy in percentage points; a dash where there is none."""
    return "\u2014" if value is None else f"{100 * value:.2f}"


def _figure(value: float | None) -> str:
    """Format a correlation; a dash where there is none."""
    return "\u2014" if value is None else f"{value:.2f}"


def _range(ends: tuple[float | None, float | None], style: str = "{:.2f}") -> str:
    """Format an interval; a dash where there is none."""
    low, high = ends
    if low is None or high is None:
        return "\u2014"
    return f"{style.format(low)} to {style.format(high)}"


def _count(value: Any) -> str:
    """Format an integer, or a very large one by its power of ten."""
    return f"{value:,.0f}" if value < 10**15 else f"{value:.2e}"
