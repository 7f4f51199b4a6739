"""The prior of chains: probabilities, aims, and what is drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnas.space import SearchSpace

SPACE = SearchSpace.profile("nano", family="spos")
ALL = np.array(np.unravel_index(np.arange(4096), (4,) * 6)).T.astype(np.int8)


def chances_of_all(p_drop: float) -> np.ndarray:
    """Return the probability of each of the 4,096 networks."""
    rows = SPACE.prior.chances(SPACE.genes, p_drop)
    return np.prod([row[ALL[:, gene]] for gene, row in enumerate(rows)], axis=0)


@given(st.floats(0, 1))
def test_probabilities_are_proportional_to_the_exponential_of_the_madds(p_drop):
    chances, madds = chances_of_all(p_drop), SPACE.madds(ALL).astype(float)
    assert chances.sum() == pytest.approx(1)
    assert chances @ madds == pytest.approx(SPACE.expected_madds(p_drop))
    spread = chances @ (madds - chances @ madds) ** 2
    assert SPACE.variance_madds(p_drop) == pytest.approx(spread, abs=1)
    kept = chances > 1e-200
    if kept.sum() > 2:
        slopes = np.polyfit(madds[kept] / 1e5, np.log(chances[kept]), 1, full=True)
        assert slopes[1] == pytest.approx(
            0, abs=1e-12 * (1 + np.log(chances[kept]).max() ** 2) * 1e6
        )


def test_its_ends_are_the_dearest_and_the_cheapest_network():
    cost = SPACE.madds_cost
    assert SPACE.expected_madds(0.0) == cost.most
    assert SPACE.expected_madds(1.0) == cost.least
    assert np.unique(SPACE.madds(SPACE.sample(50, p_drop=1.0, seed=3))).tolist() == [cost.least]
    assert np.allclose(chances_of_all(0.5), 1 / 4096)


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_mean_falls_with_p_drop(first, second):
    low, high = sorted((first, second))
    assert SPACE.expected_madds(low) >= SPACE.expected_madds(high) - 1e-6


@given(st.floats(347_137, 545_279))
def test_an_aim_is_met(madds):
    p_drop = SPACE.solve_p_drop(madds)
    assert SPACE.expected_madds(p_drop) == pytest.approx(madds, rel=1e-9)
    assert SPACE.nearest_p_drop(madds) == p_drop


@pytest.mark.parametrize("madds", [347_136, 545_280, 1e9, 1])
def test_an_aim_outside_is_refused_and_the_nearest_is_an_end(madds):
    message = r"train.madds must lie .* in \(347,136, 545,280\), got .*: choose a target inside"
    with pytest.raises(ValueError, match=message):
        SPACE.solve_p_drop(madds)
    assert SPACE.nearest_p_drop(madds) == (1.0 if madds < 4e5 else 0.0)


@pytest.mark.parametrize("p_drop", [0.2, 0.5, 0.8])
def test_draws_have_the_probabilities(p_drop):
    drawn = SPACE.sample(20_000, p_drop=p_drop, seed=11)
    for gene, chances in enumerate(SPACE.prior.chances(SPACE.genes, p_drop)):
        seen, wanted = np.bincount(drawn[:, gene], minlength=4), 20_000 * chances
        assert ((seen - wanted) ** 2 / wanted).sum() < 21.1  # 0.9999 quantile, 3 degrees
    assert (SPACE.sample(7, p_drop=p_drop, seed=11) == drawn[:7]).all()
