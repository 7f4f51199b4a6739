"""Put tables, charts and drawings into one page that needs no network."""

from math import isfinite
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from stnas.learn.comparison import Lead, differs_when_balanced, leads, mean_lead
from stnas.report.charts import charts
from stnas.report.confidence import confidence_charts, shown_chain
from stnas.report.decision import candidates, decision
from stnas.report.drawing import draw, legend, line_width
from stnas.report.load import STAGES, Ranking, Record, Row
from stnas.report.ranking import FORMS, main_rows, ranking_charts
from stnas.report.verdict import contests
from stnas.space import SearchSpace

_HERE = Path(__file__).parent
_SHARES = (0.01, 0.05, 0.2)
_SIZES = {"madds": "MAdds alone", "params": "parameters alone"}
_NAME = ("way", "form", "statistics", "measure")
_PLAIN_AVERAGING = ("none", "parameters", "own", "accuracy")


def render(record: Record) -> str:
    """Return the page of a run as HTML; every text of the run is escaped."""
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
    }
    return environment.get_template("page.html").render(
        record=record,
        networks=table(record),
        decision=decision(record),
        candidates=candidates(record),
        contests=contests(record.results["verdict"]) if "verdict" in record.results else [],
        mean_lead=_mean_lead(record),
        unequal=differs_when_balanced(record.networks),
        missing=[stage for stage in STAGES if stage not in record.results],
        ranking=None if record.ranking is None else ranking_parts(record.ranking),
        drawings=drawings(record),
        legend=legend(record.space),
        widths=[(share, line_width(share)) for share in _SHARES],
        figures=figures(record),
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup((_HERE / "page.js").read_text(encoding="utf-8")),
        plotly=Markup(get_plotlyjs()),
    )


def table(record: Record) -> list[Row]:
    """List the chosen networks, each followed by those of its size, with what is known of them.

    gain: test accuracy after retraining less the mean of the random twins'. half: half of its
    95 % interval. hand_made: test accuracy less that of the best hand-made network.
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
                "gain": None,
                "half": None,
                "hand_made": None,
            }
            for choice in record.choices
        ]
    found = {lead.name: lead for lead in leads(record.networks)}
    absent: Row = {"test_balanced_accuracy": None, "test_recalls": []}
    return [{**absent, **row, **_led(found.get(row["name"]), row)} for row in record.networks]


def _led(lead: Lead | None, network: Row) -> Row:
    """Return the leads of a chosen network and half of the interval; None where there are none."""
    if lead is None or network["role"] != "chosen":
        return {"gain": None, "half": None, "hand_made": None}
    half = lead.half if isfinite(lead.half) else None
    return {"gain": lead.lead, "half": half, "hand_made": lead.lead_over_hand_made}


def _mean_lead(record: Record) -> tuple[float, float | None] | None:
    """Return the mean lead over random twins and half of its interval; None where unknown."""
    mean = mean_lead(leads(record.networks))
    return None if mean is None else (mean[0], mean[1] if isfinite(mean[1]) else None)


def ranking_parts(ranking: Ranking) -> Row:
    """Return what the page says of a ranking: the rows of its tables, and how much was trained."""
    main = main_rows(ranking.table)
    references = [row for row in ranking.table if row["form"] in ("baseline", "ceiling")]
    others = [row for row in ranking.table if row not in main and row not in references]
    return {
        "main": [_estimate(row) for row in main],
        "references": [_estimate(row) for row in references],
        "others": [_estimate(row) for row in others],
        "failed": ranking.failed,
        "architectures": ranking.architectures,
        "trainings": sum(len(row["truth"]) for row in ranking.architectures),
        "chain": shown_chain(ranking),
    }


def _estimate(row: Row) -> Row:
    """Complete a row of the table with the words for it; None where a figure is not defined."""
    absent = ("spearman", "top_precision", "band_tau", "regret", "gain_low", "gain_high")
    known = {**dict.fromkeys((*absent, *_NAME), None), **row}
    recalibrated = known["statistics"] == "own"
    return {
        **known,
        "name": _SIZES.get(row["way"]) if row["form"] == "baseline" else row["way"],
        "averaged": FORMS.get(row["form"], ""),
        "score": f"{known['measure']}{'' if recalibrated else ', not recalibrated'}",
        "compared": tuple(known[key] for key in _NAME) == _PLAIN_AVERAGING,
    }


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
