"""Costs: worked examples, closed forms against enumeration and sampling, p_drop."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnas.space import SearchSpace
from stnas.space.topology import edges_of

SPACES = {n: SearchSpace.profile(n) for n in ("imagenet", "parity", "small", "micro", "nano")}
TINY = SearchSpace.profile("nano", stages=(2, 2), widths=(4, 6), expands=(2,), image_size=7)
CHAIN = SearchSpace.profile("nano", branch_distances=())


def every_genotype(space):
    return np.array(list(itertools.product(*map(range, space.choice_counts))), np.int8)


def test_one_bottleneck_by_hand():
    space = SPACES["imagenet"]
    edge = {edge.name: edge for edge in edges_of(space)}["v2->v5"]
    choice = edge.choices.index(next(op for op in edge.choices if op.name == "k5e3"))
    part = space.parts[f"{edge.index}.k5e3"]
    assert (part.hidden, part.squeeze) == (48, 4)
    madds = 16 * 48 * 112**2 + 48 * 25 * 28**2 + 2 * 48 * 4 + 48 * 32 * 28**2
    assert space.madds_cost.table[edge.index, choice] == madds
    weights = 16 * 48 + 48 * 25 + 2 * 48 * 4 + 48 * 32
    assert space.params_cost.table[edge.index, choice] == weights + (4 + 48) + 2 * (48 + 48 + 32)


def test_none_and_identity_are_free():
    for space in SPACES.values():
        for edge in edges_of(space):
            free = [op.kind != "bottleneck" for op in edge.choices]
            assert (space.madds_cost.table[edge.index][: len(free)][free] == 0).all()
            assert (space.params_cost.table[edge.index][: len(free)][free] == 0).all()
            assert (space.madds_cost.table[edge.index][len(free) :] == 0).all()


def test_se_width_is_at_least_one():
    space = SearchSpace.profile("nano", widths=(1, 2, 3))
    assert {part.squeeze for part in space.parts.values()} == {1}
    half = SearchSpace.profile("nano", widths=(16, 5, 3), se_ratio=0.5)
    sources = {arc.part: arc.source for arc in half.arcs}
    assert {part.squeeze for key, part in half.parts.items() if sources[key] == 2} == {2}


def test_fixed_layers():
    space = SPACES["imagenet"]
    assert space.madds_cost.fixed == 27 * 16 * 112**2 + 320 * 1280 * 49 + 1280 * 1000
    assert space.params_cost.fixed == 27 * 16 + 32 + 320 * 1280 + 2 * 1280 + 1281 * 1000
    shadow = SearchSpace.profile("imagenet", merge="shadow")
    assert shadow.params_cost.fixed - space.params_cost.fixed == 2 * (
        1 * 16 + 2 * 24 + 4 * 32 + 8 * 64 + 4 * 320
    )


@pytest.mark.parametrize(
    ("name", "madds", "digits"), [("imagenet", 414.1, 1), ("small", 23.1, 1), ("micro", 5.9, 1)]
)
def test_expected_madds_of_the_profiles(name, madds, digits):
    assert round(SPACES[name].expected_madds(0.6) / 1e6, digits) == madds


def test_the_micro_hyper_network_has_474_thousand_parameters():
    space = SPACES["micro"]
    assert int(space.params_cost.table.sum()) + space.params_cost.fixed == 473_786


@pytest.mark.parametrize("p_drop", [0.0, 0.37, 1.0])
@pytest.mark.parametrize("name", SPACES)
def test_sampled_moments_equal_the_closed_form(name, p_drop):
    space = SPACES[name]
    madds = space.madds(space.sample(20_000, p_drop=p_drop, seed=7))
    assert madds.dtype == np.int64
    assert madds.mean() == pytest.approx(space.expected_madds(p_drop), rel=0.01)
    assert madds.var() == pytest.approx(space.variance_madds(p_drop), rel=0.05)


@pytest.mark.parametrize("p_drop", [0.0, 0.6, 1.0])
def test_moments_equal_the_sum_over_all_architectures(p_drop):
    genotypes = every_genotype(TINY)
    assert len(genotypes) == TINY.num_architectures
    weight = np.ones(len(genotypes))
    for edge, genes in zip(edges_of(TINY), genotypes.T, strict=True):
        if edge.kind == "stem":
            weight /= len(edge.choices)
        else:
            weight *= np.where(genes == 0, p_drop, (1 - p_drop) / (len(edge.choices) - 1))
    madds = TINY.madds(genotypes).astype(float)
    assert weight.sum() == pytest.approx(1)
    assert TINY.expected_madds(p_drop) == pytest.approx(weight @ madds, rel=1e-12)
    variance = weight @ (madds - weight @ madds) ** 2
    assert TINY.variance_madds(p_drop) == pytest.approx(variance, rel=1e-9)


@given(name=st.sampled_from(sorted(SPACES)), p_drop=st.floats(0, 1))
def test_solve_p_drop_inverts_the_expectation(name, p_drop):
    space = SPACES[name]
    assert space.solve_p_drop(space.expected_madds(p_drop)) == pytest.approx(p_drop, abs=1e-9)


@pytest.mark.parametrize("madds", [0, 1e12, float("nan"), float("inf")])
def test_a_target_outside_names_the_reachable_range(madds):
    space = SPACES["micro"]
    low, high = space.expected_madds(1.0), space.expected_madds(0.0)
    with pytest.raises(ValueError, match=rf"\[{low:,.0f}, {high:,.0f}\]"):
        space.solve_p_drop(madds)


def test_a_chain_space_has_no_p_drop_to_solve():
    with pytest.raises(ValueError, match="chain space"):
        CHAIN.solve_p_drop(1e6)
    assert CHAIN.expected_madds(0.0) == CHAIN.expected_madds(1.0)


@pytest.mark.parametrize("p_drop", [-0.01, 1.5, float("nan")])
def test_p_drop_outside_is_refused_everywhere(p_drop):
    space = SPACES["nano"]
    for call in (space.expected_madds, space.variance_madds, space.madds_distribution):
        with pytest.raises(ValueError, match=r"p_drop must lie in \[0, 1\], got"):
            call(p_drop)
    with pytest.raises(ValueError, match=r"p_drop must lie in \[0, 1\]"):
        space.sample(1, p_drop=p_drop, seed=0)


@pytest.mark.parametrize("p_drop", ["0.5", None, True])
def test_p_drop_of_another_kind_is_refused(p_drop):
    with pytest.raises(TypeError, match="p_drop must be a number"):
        SPACES["nano"].expected_madds(p_drop)


def test_costs_beyond_the_integers_are_refused():
    with pytest.raises(ValueError, match=r"less than 2\*\*62.*reduce space.widths"):
        SearchSpace.profile("nano", widths=(2**30, 2**30, 2**30), image_size=1024)
