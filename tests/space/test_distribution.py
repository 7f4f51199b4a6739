"""The MAdds distribution: enumeration, closed forms, and rounding within its bound."""

import itertools
from collections import Counter

import numpy as np
import pytest

from stnas.space import SearchSpace
from stnas.space.topology import edges_of

TINY = SearchSpace.profile("nano", stages=(2, 2), widths=(4, 6), expands=(2,), image_size=7)


@pytest.mark.parametrize("p_drop", [0.0, 0.6, 1.0])
def test_it_equals_enumeration(p_drop):
    expected = Counter()
    rows = list(itertools.product(*(range(len(edge.choices)) for edge in edges_of(TINY))))
    for row, madds in zip(rows, TINY.madds(np.array(rows)).tolist(), strict=True):
        weight = 1.0
        for edge, gene in zip(edges_of(TINY), row, strict=True):
            others = len(edge.choices) - (edge.kind == "branch")
            dropped = p_drop if gene == 0 else (1 - p_drop) / others
            weight *= dropped if edge.kind == "branch" else 1 / others
        expected[madds] += weight
    found = TINY.madds_distribution(p_drop)
    positive = {value: weight for value, weight in expected.items() if weight}
    assert found.exact
    assert found.values.dtype == np.int64
    assert found.values.tolist() == sorted(positive)
    np.testing.assert_allclose(
        found.probabilities, [positive[v] for v in found.values.tolist()], rtol=1e-12
    )


@pytest.mark.parametrize("name", ["parity", "small", "micro", "nano"])
def test_the_profiles_are_exact(name):
    space = SearchSpace.profile(name)
    found = space.madds_distribution(0.6)
    assert found.exact
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-12)
    assert found.mean == pytest.approx(space.expected_madds(0.6), rel=1e-12)
    assert found.variance == pytest.approx(space.variance_madds(0.6), rel=1e-9)
    madds = space.madds(space.sample(1000, p_drop=0.6, seed=0))
    assert np.isin(madds, found.values).all()


def test_imagenet_is_rounded_within_its_bound():
    space = SearchSpace.profile("imagenet")
    found = space.madds_distribution(0.6, max_points=2**18)
    assert not found.exact
    assert found.values[-1] - found.values[0] < 2**18 * found.spacing
    assert found.mean == pytest.approx(space.expected_madds(0.6), rel=1e-12)
    excess = found.variance - space.variance_madds(0.6)
    assert 0 <= excess <= space.num_genes * found.spacing**2 / 4
    madds = np.sort(space.madds(space.sample(40_000, p_drop=0.6, seed=2)))
    for q in (0.01, 0.25, 0.5, 0.75, 0.99):
        assert found.quantile(q) == pytest.approx(np.quantile(madds, q), rel=0.015)


def test_quantiles_of_a_rounded_distribution_stay_within_the_bound():
    space = SearchSpace.profile("nano")
    exact, rounded = space.madds_distribution(0.6), space.madds_distribution(0.6, max_points=512)
    assert not rounded.exact
    assert len(rounded.values) <= 512
    for q in np.linspace(0.001, 0.999, 97):
        assert abs(exact.quantile(q) - rounded.quantile(q)) < space.num_genes * rounded.spacing


def test_quantile_steps_where_the_probability_is_reached():
    found = TINY.madds_distribution(0.5)
    assert found.quantile(0) == found.values[0]
    assert found.quantile(1) == found.values[-1]
    assert found.quantile(found.probabilities[0] / 2) == found.values[0]
    assert found.quantile(found.probabilities[0] * 1.001) == found.values[1]


@pytest.mark.parametrize("q", [-0.1, 1.1, float("nan")])
def test_quantile_outside_is_refused(q):
    with pytest.raises(ValueError, match=r"q must lie in \[0, 1\]"):
        TINY.madds_distribution(0.5).quantile(q)


def test_a_grid_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match=r"max_points must be more than twice the 12 genes"):
        SearchSpace.profile("nano").madds_distribution(0.5, max_points=24)


def test_networks_that_all_cost_the_same_have_one_value():
    space = SearchSpace.profile(
        "nano", stages=(1, 1), widths=(4, 4), kernels=(3,), expands=(1,), branch_distances=()
    )
    found = space.madds_distribution(0.3)
    assert found.values.tolist() == space.madds([[0]]).tolist()
    assert found.probabilities.tolist() == [1.0]
