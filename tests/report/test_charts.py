"""Charts of networks are drawn over the cost that the search was for."""

import dataclasses

from stnas.report.charts import charts
from stnas.report.load import load_record

SERIES = ("archive", "front", "choices", "networks")


def by_latency(record):
    """Return the record of a search by latency: half a nanosecond a multiply-add."""
    rows = {
        name: [{**row, "latency": row["madds"] / 2} for row in getattr(record, name)]
        for name in SERIES
    }
    return dataclasses.replace(record, config="search:\n  cost: latency\n", **rows)


def places(figure):
    return [list(trace.x) for trace in figure.data]


def test_networks_of_a_search_by_latency_lie_over_nanoseconds(make_run):
    record = load_record(make_run())
    plain, timed = charts(record), charts(by_latency(record))
    for name in ("scatter", "retrained"):
        assert plain[name].layout.xaxis.title.text == "multiply-adds"
        assert timed[name].layout.xaxis.title.text == "nanoseconds"
        halves = [[x / 2 for x in trace] for trace in places(plain[name])]
        assert places(timed[name]) == halves
        assert "nanoseconds" in timed[name].data[0].hovertemplate


def test_networks_whose_latency_is_not_known_stay_over_multiply_adds(make_run):
    record = load_record(make_run())
    timed = by_latency(record)
    figures = charts(dataclasses.replace(timed, networks=record.networks))
    assert figures["retrained"].layout.xaxis.title.text == "multiply-adds"
    assert figures["scatter"].layout.xaxis.title.text == "nanoseconds"
