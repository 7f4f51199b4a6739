"""The charts of a ranking: every number of the run is in its place."""

import dataclasses

import pytest

from stnas.report.confidence import confidence_charts, shown_chain
from stnas.report.load import Ranking, load_record
from stnas.report.ranking import ranking_charts
from stnas.store.files import read_json, write_json


@pytest.fixture
def ranking(make_run) -> Ranking:
    return load_record(make_run(stages=("train", "rank"))).ranking


def by_name(figure):
    return {trace.name: trace for trace in figure.data}


def test_agreement_has_a_point_and_an_interval_for_every_estimator(ranking):
    figure = ranking_charts(ranking)["rank-tau"]
    traces = by_name(figure)
    assert list(traces) == ["nothing (median)", "weights", "scores", "nothing (tuned)"]
    weights = traces["weights"]
    assert weights.x == (0.5, 0.64)
    assert weights.y == ("none, weights", "posterior, weights")
    assert weights.error_x.array == pytest.approx((0.25, 0.25))
    assert weights.error_x.arrayminus == pytest.approx((0.3, 0.3))
    assert figure.layout.yaxis.categoryarray == (
        "single",
        "none, weights",
        "none, scores",
        "posterior, weights",
        "finetune-3",
    )
    lines = {shape.name: shape.x0 for shape in figure.layout.shapes}
    assert lines == {"multiply-adds alone: 0.25": 0.25, "ceiling: 0.75": 0.75}


def test_scores_are_held_against_the_mean_of_the_trainings(ranking):
    traces = by_name(ranking_charts(ranking)["rank-scores"])
    assert list(traces) == ["single", "none", "posterior", "finetune-3"]
    assert [t.visible for t in traces.values()] == [True, True, True, "legendonly"]
    for way, shift in (("single", 10), ("none", 2), ("posterior", 3), ("finetune-3", 4)):
        scores = [50 + (7 * i + shift) % 12 for i in range(12)]
        assert traces[way].x == pytest.approx(scores)
    true = [80 + (5 * i) % 12 + (0.25 if i % 3 == 0 else 0) for i in range(12)]
    assert all(trace.y == pytest.approx(true) for trace in traces.values())
    row = ranking.architectures[4]
    facts = f"{row['genotype']}<br>{row['madds']:,} multiply-adds, from scratch 88.00 %"
    assert traces["single"].text[4] == facts


def test_ranks_follow_ten_architectures_over_the_epochs(ranking):
    figure = ranking_charts(ranking)["rank-epochs"]
    assert len(figure.data) == 10
    assert figure.layout.xaxis.ticktext == ("10", "11", "12", "from scratch")
    members = [0, 1, 2, 3, 4, 6, 7, 8, 9, 11]
    names = {f"{ranking.architectures[i]['madds']:,} multiply-adds": i for i in members}
    assert {trace.name for trace in figure.data} == set(names)
    for step in range(3):
        scores = {i: (7 * i + 5 * step) % 12 for i in members}
        best_first = sorted(members, key=lambda i, scores=scores: -scores[i])
        for trace in figure.data:
            assert trace.y[step] == 1 + best_first.index(names[trace.name])
    best_first = sorted(members, key=lambda i: -ranking.truth[i])
    assert [names[trace.name] for trace in figure.data] == best_first
    assert [trace.y[3] for trace in figure.data] == list(range(1, 11))


def test_equal_scores_share_a_rank(ranking):
    rows = [{**row, "accuracy": [0.5] * len(row["rows"])} for row in ranking.scores]
    figure = ranking_charts(dataclasses.replace(ranking, scores=rows))["rank-epochs"]
    assert {trace.y[0] for trace in figure.data} == {5.5}


def test_pairs_are_ordered_by_the_truth(ranking):
    heat = confidence_charts(ranking)["rank-better"].data[0]
    order = sorted(range(12), key=lambda i: -ranking.truth[i])
    labels = [
        f"{ranking.architectures[i]['genotype']}<br>{100 * ranking.truth[i]:.2f} % from scratch"
        for i in order
    ]
    assert heat.x == heat.y == tuple(labels)
    for a, first in enumerate(order):
        for b, second in enumerate(order):
            chance = None if a == b else pytest.approx(100 * (0.5 + (first - second) / 24))
            assert heat.z[a][b] == chance


def test_calibration_has_the_bins_that_hold_pairs(ranking):
    traces = by_name(confidence_charts(ranking)["rank-calibration"])
    assert list(traces) == ["none", "posterior (Brier 0.250)", "as stated"]
    points = traces["posterior (Brier 0.250)"]
    assert points.x == (62.5, 95.0)
    assert points.y == (50.0, 75.0)
    assert points.marker.size == (40, 10)


def test_the_first_chain_is_drawn_where_there_is_no_posterior(ranking):
    assert shown_chain(ranking) == "posterior"
    chains = dict.fromkeys(("single", "none"), ranking.posterior["none"])
    others = dataclasses.replace(ranking, posterior=chains)
    assert shown_chain(others) == "single"
    assert list(confidence_charts(others)) == ["rank-better", "rank-calibration"]
    assert confidence_charts(dataclasses.replace(ranking, posterior={})) == {}


def test_a_ranking_of_the_last_weights_alone_has_no_epochs(ranking):
    rows = [row for row in ranking.scores if not row["weights"].startswith("epoch")]
    alone = dataclasses.replace(ranking, scores=rows)
    assert list(ranking_charts(alone)) == ["rank-tau", "rank-scores"]


def test_undefined_figures_leave_a_chart_out(ranking):
    table = [{**row, "tau": None} for row in ranking.table]
    charts = ranking_charts(dataclasses.replace(ranking, table=table))
    assert list(charts) == ["rank-scores", "rank-epochs"]


def test_scores_of_checkpoints_do_without_those_of_their_mean(make_run):
    folder = make_run(stages=("train", "rank"))
    result = read_json(folder / "rank/result.json")
    tail = {**result["table"][5], "way": "tail"}
    write_json(folder / "rank/result.json", {**result, "table": [*result["table"], tail]})
    charts = ranking_charts(load_record(folder).ranking)
    assert "tail, scores" in charts["rank-tau"].layout.yaxis.categoryarray
    assert "tail" not in by_name(charts["rank-scores"])
