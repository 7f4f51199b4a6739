"""The model of trainings: Gaussian conditioning as oracle, and what it learns and does not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnas.verdict.model import predicted


def drawn(n, genes=6, choices=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(choices, size=(n, genes)).astype(np.int8), rng.normal(size=(n, 2)), rng


def covariance(genotypes, numbers, shares):
    """Return the prior covariance, written down from its definition."""
    columns = [
        np.array([[float(g[i] == c) for c in sorted(set(genotypes[:, i]))] for g in genotypes])
        for i in range(genotypes.shape[1])
    ]
    total = np.zeros((len(genotypes), len(genotypes)))
    for share, block in zip(shares, (np.concatenate(columns, 1), numbers), strict=True):
        centred = block - block.mean(0)
        product = centred @ centred.T
        total += share * product / np.mean(np.diag(product))
    return total


@given(st.integers(0, 50))
def test_the_mean_is_that_of_the_conditional_normal(seed):
    genotypes, numbers, rng = drawn(20, seed=seed)
    trained, reached = np.arange(12), rng.normal(3, 2, 12)
    found = predicted(genotypes, numbers, trained, reached)
    prior, noise = covariance(genotypes, numbers, found.shares), 1 - sum(found.shares)
    middle, spread = reached.mean(), reached.std()
    known = prior[:12, :12] + noise * np.eye(12)
    gain = np.linalg.solve(known, prior[:12]).T
    assert found.mean == pytest.approx(middle + spread * gain @ ((reached - middle) / spread))


def test_a_left_out_prediction_is_what_the_others_say():
    genotypes, numbers, rng = drawn(10)
    reached = rng.normal(size=10)
    found = predicted(genotypes, numbers, np.arange(10), reached)
    known = covariance(genotypes, numbers, found.shares) + (1 - sum(found.shares)) * np.eye(10)
    target = (reached - reached.mean()) / reached.std()
    for i in range(10):
        others = np.arange(10) != i
        own = known[i, others] @ np.linalg.solve(known[np.ix_(others, others)], target[others])
        assert found.left_out[i] == pytest.approx(reached.mean() + reached.std() * own)


def test_effects_of_choices_are_found_in_networks_that_were_not_trained():
    genotypes, numbers, rng = drawn(300)
    effects = rng.normal(size=(6, 4))
    truth = effects[np.arange(6), genotypes].sum(1)
    reached = truth[:40] + rng.normal(0, 0.3, 40)
    found = predicted(genotypes, numbers, np.arange(40), reached)
    assert np.corrcoef(found.mean[40:], truth[40:])[0, 1] > 0.8
    assert found.shares[0] > found.shares[1]


def test_a_number_that_tells_all_is_used_and_noise_is_left_as_noise():
    genotypes, numbers, rng = drawn(100)
    line = predicted(genotypes, numbers, np.arange(30), 2 * numbers[:30, 0] + 1)
    assert np.corrcoef(line.mean[30:], numbers[30:, 0])[0, 1] > 0.95
    shares = [
        sum(predicted(genotypes, numbers, np.arange(30), rng.normal(size=30)).shares)
        for _ in range(20)
    ]
    assert np.median(shares) <= 0.4


@pytest.mark.parametrize("trained", [2, 9])
def test_results_that_are_all_alike_predict_themselves(trained):
    genotypes, numbers, _ = drawn(9)
    found = predicted(genotypes, numbers, np.arange(trained), np.full(trained, 0.5))
    assert found.mean == pytest.approx(np.full(9, 0.5))
    same = predicted(np.zeros((9, 6), np.int8), np.zeros((9, 2)), np.arange(3), np.arange(3.0))
    assert same.mean == pytest.approx(np.ones(9))
