"""Agreement of rankings: against scipy, on ties, in bootstrap samples, and by hand."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stnas.learn.ranks import ranks, signs, spearman
from stnas.rank.statistics import (
    band_tau,
    better_probability,
    interval,
    regret,
    resamples,
    tau,
    top_precision,
    weighted_tau,
)

GRIDS = st.integers(2, 12).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 4), min_size=n, max_size=n)] * 2)
)


@given(GRIDS)
def test_tau_b_and_spearman_are_scipys_with_ties(pair):
    first, second = (np.array(values, float) for values in pair)
    np.testing.assert_allclose(ranks(first), stats.rankdata(first) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        expected = stats.kendalltau(first, second).statistic, stats.spearmanr(first, second)[0]
    found = tau(first, second), spearman(first, second)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@given(GRIDS, st.integers(0, 2**32))
def test_tau_of_a_bootstrap_sample_is_that_of_its_rows(pair, seed):
    first, second = (np.array(values, float) for values in pair)
    counts = resamples(len(first), 5, seed=seed)
    assert (counts.sum(axis=1) == len(first)).all()
    taus = weighted_tau(signs(first), signs(second), counts)
    for count, value in zip(counts.astype(int), taus, strict=True):
        rows = np.repeat(np.arange(len(first)), count)
        np.testing.assert_allclose(value, tau(first[rows], second[rows]), atol=1e-12)


def test_the_interval_of_tau_covers_the_true_value_as_often_as_it_says():
    """Rankings of a normal pair with correlation r have tau = 2 arcsin(r) / pi."""
    rng = np.random.default_rng(0)
    r, inside, tries = 0.7, 0, 200
    for seed in range(tries):
        first = rng.normal(size=40)
        second = r * first + np.sqrt(1 - r * r) * rng.normal(size=40)
        drawn = resamples(40, 300, seed=seed)
        low, high = interval(weighted_tau(signs(first), signs(second), drawn))
        inside += low <= 2 / np.pi * np.arcsin(r) <= high
    assert 0.88 <= inside / tries <= 0.99


def test_the_top_and_the_regret_take_the_cheaper_of_equals():
    truth = np.array([0.9, 0.8, 0.7, 0.6])
    score = np.array([0.5, 0.7, 0.7, 0.1])
    madds = np.array([1.0, 3.0, 2.0, 4.0])
    assert regret(score, truth, madds) == pytest.approx(0.2)
    assert top_precision(score, truth, madds) == 0
    assert top_precision(truth, truth, madds) == 1
    assert regret(truth, truth, madds) == 0


def test_tau_in_bands_does_not_reward_the_knowledge_that_larger_is_better():
    madds = np.arange(12.0)
    truth = madds + np.tile([4.0, 2.0, 0.0], 4)
    assert tau(madds, truth) > 0.4
    assert band_tau(madds, truth, madds, 4) < 0
    assert band_tau(truth, truth, madds, 4) == 1
    assert np.isnan(band_tau(np.zeros(12), truth, madds, 4))


def test_no_interval_without_values():
    assert np.isnan(interval(np.array([np.nan]))).all()


@given(GRIDS)
def test_probabilities_of_being_better_add_up_to_one(pair):
    chance = better_probability(np.array(pair, float))
    np.testing.assert_allclose(chance + chance.T, 1)
    first, second = (np.array(values) for values in pair)
    both = (first[:, None] > first) & (second[:, None] > second)
    assert (chance[both] == 1).all()


def test_the_probability_counts_samples():
    samples = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    assert better_probability(samples)[0, 1] == pytest.approx(2.5 / 4)
