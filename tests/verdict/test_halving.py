"""Successive halving: sizes, budgets, rates, and the order of a field."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnas.config import Config, RetrainConfig, TrainConfig, VerdictConfig
from stnas.verdict.contest import Contest, decided, proposed
from stnas.verdict.halving import field_sizes, passes, restarted_rate, rung_ends, spread_ends


def configured(*, train=60, retrain=15, **options):
    return Config(
        verdict=VerdictConfig(**options),
        train=TrainConfig(epochs=train),
        retrain=RetrainConfig(epochs=retrain, warmup_epochs=1.0, learning_rate=0.1),
    )


def row(genotype, madds, loss=0.0, accuracy=0.0):
    return {"genotype": genotype, "madds": madds, "loss": loss, "accuracy": accuracy}


@pytest.mark.parametrize(
    ("candidates", "reduction", "sizes"),
    [(0, 3, []), (1, 3, []), (2, 3, [2]), (3, 3, [3]), (4, 3, [4, 2]), (12, 3, [12, 4, 2])],
)
def test_one_of_so_many_goes_on(candidates, reduction, sizes):
    assert field_sizes(candidates, reduction) == sizes


@given(st.integers(2, 200), st.integers(2, 6), st.integers(1, 400))
def test_rungs_rise_to_the_epochs_asked_for(candidates, reduction, epochs):
    ends = rung_ends(configured(candidates=candidates, reduction=reduction, epochs=epochs))
    sizes = field_sizes(candidates, reduction)
    assert ends == sorted(set(ends))
    assert ends[0] >= 1
    assert ends[-1] == epochs
    assert len(ends) == min(len(sizes), epochs)
    assert sizes[-1] <= reduction


@given(st.integers(2, 60), st.integers(2, 4), st.floats(0.05, 0.6), st.integers(100, 2000))
def test_the_default_is_the_share_of_the_passes(candidates, reduction, share, epochs):
    config = configured(
        train=epochs, retrain=epochs, candidates=candidates, reduction=reduction, share=share
    )
    ends, sizes = rung_ends(config), field_sizes(candidates, reduction)
    allowed = 2 * epochs * share / (1 - share)
    assert ends[-1] == 1 or passes(sizes, ends) <= allowed * (1 + 1e-12)
    if ends[-1] < epochs:
        more = spread_ends(ends[-1] + 1, len(sizes), reduction)
        assert passes(sizes, more) > allowed * (1 - 1e-12)


def test_the_passes_of_a_field_are_counted():
    assert passes([12, 4, 2], [2, 5, 15]) == 12 * 2 + 4 * 3 + 2 * 10
    assert passes([], []) == 0


def test_the_rate_falls_to_zero_at_every_rung_and_starts_anew():
    config, steps, ends = configured(), 10, [2, 5, 15]
    rates = [restarted_rate(config, step, steps=steps, ends=ends) for step in range(150)]
    assert rates[:10] == pytest.approx([0.01 * (step + 1) for step in range(10)])
    for begin, end in ((10, 20), (20, 50), (50, 150)):
        assert rates[begin] == pytest.approx(0.1)
        assert rates[begin:end] == sorted(rates[begin:end], reverse=True)
        assert rates[end - 1] < 0.003
    one = [restarted_rate(config, step, steps=steps, ends=[1]) for step in range(10)]
    assert one[:5] == pytest.approx([0.02 * (step + 1) for step in range(5)])


def test_those_in_the_window_come_first_then_those_below_it():
    rows = [row("a", 50, 0.1), row("b", 95, 0.4), row("c", 99, 0.3), row("d", 101, 0.0)]
    options = {"low": 90, "limit": 100, "measure": "loss"}
    for count, names in ((1, "c"), (2, "cb"), (9, "cba")):
        found = proposed(rows, count=count, **options)
        assert "".join(r["genotype"] for r in found) == names
    assert proposed(rows, count=3, low=5, limit=10, measure="loss") == ()


def test_a_tie_takes_the_smaller_then_the_first_text():
    field = (row("b", 9), row("a", 9), row("c", 8))
    judged = {name: {"loss": 0.5, "accuracy": 0.5} for name in "abc"}
    contest = Contest(10, 9, field, (3,))
    for measure in ("loss", "accuracy"):
        ranked = contest.ranked(field, judged, measure)
        assert "".join(r["genotype"] for r in ranked.field) == "cab"


def test_a_small_field_enters_a_later_rung():
    field = tuple(row(name, 1) for name in "abcd")
    contest = Contest(10, 9, field, (4, 2))
    assert [len(contest.trains(rung, 3)) for rung in range(3)] == [0, 4, 2]


def test_measures_turn_the_order_round():
    field = (row("a", 1), row("b", 1))
    judged = {"a": {"loss": 0.1, "accuracy": 0.1}, "b": {"loss": 0.9, "accuracy": 0.9}}
    contest = Contest(10, 9, field, (2,))
    firsts = [contest.ranked(field, judged, m).field[0]["genotype"] for m in ("loss", "accuracy")]
    assert firsts == ["a", "b"]


def test_a_network_is_chosen_once_and_a_limit_without_one_says_why():
    small, large = row("a", 5), row("b", 15)
    contests = [
        Contest(1, 0, (), ()),
        Contest(10, 9, (small,), ()),
        Contest(20, 18, (small, large), (2,)),
        Contest(30, 27, (large, small), (2,)),
    ]
    found = decided(contests, {"b": {"loss": 0.5, "accuracy": 0.9, "epochs": 4}}, {1: "none"})
    assert [(c["name"], c["limit"], c["genotype"]) for c in found["choices"]] == [
        ("A", 10, "a"),
        ("B", 30, "b"),
    ]
    assert [c["verdict_epochs"] for c in found["choices"]] == [None, 4]
    first, second = found["unmet"]
    assert first == {"limit": 1, "reason": "none"}
    assert second["limit"] == 20
    assert "no candidate is better than A of 5 MAdds" in second["reason"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"candidates": -1}, "verdict.candidates must be 0 or more"),
        ({"measure": "size"}, "verdict.measure must be one of loss, accuracy"),
        ({"reduction": 1}, "verdict.reduction must be 2 or more"),
        ({"epochs": 0}, "verdict.epochs must be 1 or more"),
        ({"share": 0.0}, r"verdict.share must be in \(0, 1\)"),
        ({"share": 1.0}, r"verdict.share must be in \(0, 1\)"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        replace(VerdictConfig(), **options)
