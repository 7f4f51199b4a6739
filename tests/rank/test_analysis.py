"""Figures of estimators against a made-up ground truth."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from stnas.config.rank import parse_way
from stnas.rank.analysis import Reality, analyse, calibration, ceiling
from stnas.rank.estimators import Estimator, baselines, estimators
from stnas.rank.statistics import resamples, tau

N = 12
RNG = np.random.default_rng(0)
TRUE = np.sort(RNG.normal(size=N))
MADDS = np.arange(N, dtype=float)


@pytest.fixture
def reality():
    accuracies = [[value, value + 0.01] if i % 2 else [value] for i, value in enumerate(TRUE)]
    return Reality.make(accuracies, MADDS, bands=2, count=300)


def line(way, weights, accuracy, statistics="own"):
    return {
        "way": way,
        "weights": weights,
        "statistics": statistics,
        "rows": list(range(N)),
        "accuracy": list(accuracy),
        "loss": [-value for value in accuracy],
    }


def noisy(scale):
    return TRUE + scale * RNG.normal(size=N)


def test_every_form_is_made_of_its_own_scores(reality):
    ways = [parse_way(name) for name in ("single", "tail", "none", "posterior")]
    lines = [line("single", label, noisy(0.5)) for label in ("epoch-0001", "trained")]
    lines += [line("tail", "mean", noisy(0.1))]
    for way in ("none", "posterior"):
        lines += [line(way, f"sample-{k:03d}", noisy(0.5)) for k in (1, 2)]
        lines += [line(way, "mean", noisy(0.1)), line(way, "mean", noisy(1.0), "running")]
    found = {
        (e.way, e.form, e.statistics): e.values
        for e in estimators(ways, lines, N)
        if e.measure == "accuracy"
    }
    assert found["single", "checkpoint", "own"].shape == (2, N)
    checkpoints = np.array([row["accuracy"] for row in lines[:2]])
    np.testing.assert_array_equal(found["tail", "scores", "own"][0], checkpoints.mean(0))
    samples = np.array([row["accuracy"] for row in lines[3:5]] + [lines[1]["accuracy"]])
    np.testing.assert_allclose(found["none", "scores", "own"][0], samples.mean(0))
    bound = samples.mean(0) - samples.std(0, ddof=1)
    np.testing.assert_allclose(found["none", "bound", "own"][0], bound)
    np.testing.assert_array_equal(found["none", "parameters", "own"][0], lines[5]["accuracy"])
    np.testing.assert_array_equal(found["none", "parameters", "running"][0], lines[6]["accuracy"])
    table = analyse(estimators(ways, lines, N), reality)
    for row in table[:-1]:
        assert row["n"] == N
        assert row["tau_low"] <= row["tau"] <= row["tau_high"]
    by_loss = [row for row in table if row.get("measure") == "loss"]
    by_accuracy = {(r["way"], r["form"], r["statistics"]): r for r in table if r.get("measure")}
    for row in by_loss:
        assert row["tau"] == by_accuracy[row["way"], row["form"], row["statistics"]]["tau"]


def test_figures_of_several_checkpoints_are_medians(reality):
    values = np.stack([TRUE, -TRUE, noisy(0.4)])
    [row, _] = analyse([Estimator("single", "checkpoint", "own", "accuracy", values)], reality)
    assert row["tau"] == pytest.approx(tau(values[2], TRUE))
    assert "gain_low" not in row, "there is no baseline to compare with"


def test_the_interval_of_several_checkpoints_is_that_of_their_median_in_every_sample(reality):
    values = np.stack([noisy(2.0), noisy(0.1), noisy(1.0)])
    [row, _] = analyse([Estimator("single", "checkpoint", "own", "accuracy", values)], reality)
    medians = []
    for count in resamples(N, 300, seed=0).astype(int):
        rows = np.repeat(np.arange(N), count)
        taus = [kendalltau(v[rows], reality.mean[rows]).statistic for v in values]
        medians.append(np.median(taus))
    assert [row["tau_low"], row["tau_high"]] == pytest.approx(np.percentile(medians, [2.5, 97.5]))


def test_the_gain_is_that_over_plain_averaging(reality):
    def parameters(way, values):
        return Estimator(way, "parameters", "own", "accuracy", values[None])

    table = analyse([parameters("none", noisy(0.8)), parameters("posterior", TRUE)], reality)
    assert table[0]["gain_low"] == table[0]["gain_high"] == 0
    assert table[1]["gain_low"] > 0


def test_baselines_rank_by_size(reality):
    rows = analyse(baselines({"madds": MADDS, "params": -MADDS}), reality)
    assert rows[0]["tau"] == pytest.approx(1)
    assert rows[1]["tau"] == pytest.approx(-1)
    assert rows[0]["regret"] == 0
    assert rows[1]["regret"] == pytest.approx(TRUE[-1] - TRUE[0], abs=0.01)


def test_constant_scores_have_no_figure(reality):
    [row, _] = analyse(
        [Estimator("none", "parameters", "own", "accuracy", np.zeros((1, N)))], reality
    )
    assert row["tau"] is row["spearman"] is row["band_tau"] is row["tau_low"] is None


def test_the_ceiling_compares_seeds_where_there_are_several(reality):
    row = ceiling(reality)
    assert row["n"] == N // 2
    assert row["tau"] == pytest.approx(1)
    alone = Reality.make([[value] for value in TRUE], MADDS, bands=2, count=100)
    assert ceiling(alone)["tau"] is None


def test_stated_probabilities_are_held_against_what_is_true(reality):
    certain = calibration(np.stack([TRUE, TRUE, TRUE]), reality)
    assert certain["brier"] == 0
    assert [part["pairs"] for part in certain["bins"]] == [0, 0, 0, 0, N * (N - 1) // 2]
    assert certain["bins"][-1]["right"] == certain["bins"][-1]["stated"] == 1
    wrong = calibration(np.stack([-TRUE, -TRUE]), reality)
    assert wrong["brier"] == 1
    unsure = calibration(np.stack([TRUE, -TRUE]), reality)
    assert unsure["bins"][0] == {"from": 0.5, "to": 0.6, "pairs": 66, "stated": 0.5, "right": 0.5}
    assert unsure["brier"] == 0
