"""Samplers: functions of (seed, step) alone, with the probabilities of the paper's equations."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnas.space import SearchSpace, make_sampler
from stnas.space.topology import edges_of

SMALL = SearchSpace.profile("small")
NANO = SearchSpace.profile("nano")
KINDS = ["p_drop", "uniform", "fair", "bins"]


def run(sampler, steps):
    return np.array([sampler.genotype(step) for step in steps])


def frequencies(genotypes, edge):
    return np.bincount(genotypes[:, edge.index], minlength=len(edge.choices)) / len(genotypes)


def assert_frequencies(genotypes, edge, expected):
    error = 5 * np.sqrt(np.array(expected) * (1 - np.array(expected)) / len(genotypes)) + 1e-12
    assert (np.abs(frequencies(genotypes, edge) - expected) <= error).all(), edge.name


@pytest.mark.parametrize("p_drop", [0.0, 0.6, 1.0])
def test_sample_follows_equations_2_and_5(p_drop):
    genotypes = SMALL.sample(20_000, p_drop=p_drop, seed=11)
    for edge in edges_of(SMALL):
        count = len(edge.operations)
        if edge.kind == "stem":
            assert_frequencies(genotypes, edge, [1 / count] * count)
        else:
            assert_frequencies(genotypes, edge, [p_drop, *[(1 - p_drop) / count] * count])


def test_sample_draws_edges_independently():
    genotypes = SMALL.sample(20_000, p_drop=0.5, seed=3).astype(float)
    correlation = np.corrcoef(genotypes.T)[np.triu_indices(SMALL.num_genes, 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(20_000)


@given(n=st.integers(0, 50), seed=st.integers(0, 2**64 - 1), p_drop=st.floats(0, 1))
def test_sample_is_valid_repeatable_and_starts_alike(n, seed, p_drop):
    genotypes = NANO.sample(n, p_drop=p_drop, seed=seed)
    assert genotypes.shape == (n, NANO.num_genes)
    assert genotypes.dtype == np.int8
    assert NANO.check(genotypes) is genotypes
    longer = NANO.sample(n + 3, p_drop=p_drop, seed=seed)
    assert (longer[:n] == genotypes).all()


@pytest.mark.parametrize("kind", KINDS)
def test_samplers_are_functions_of_seed_and_step(kind):
    steps = [0, 1, 5, 1000, 2**40]
    first = run(make_sampler(NANO, kind, p_drop=0.6, seed=4), steps)
    again = run(make_sampler(NANO, kind, p_drop=0.6, seed=4), steps[::-1])[::-1]
    assert (first == again).all()
    assert NANO.check(first).dtype == np.int8
    many = run(make_sampler(NANO, kind, p_drop=0.6, seed=4), range(100))
    other = run(make_sampler(NANO, kind, p_drop=0.6, seed=5), range(100))
    assert len(np.unique(many, axis=0)) > 80
    assert (many != other).any(axis=1).sum() > 80


@pytest.mark.parametrize("kind", KINDS)
def test_a_genotype_may_be_changed_by_its_owner(kind):
    sampler = make_sampler(NANO, kind, p_drop=0.6, seed=4)
    before = sampler.genotype(3)
    changed = sampler.genotype(3)
    changed[:] = 0
    assert (sampler.genotype(3) == before).all()
    assert before.shape == (NANO.num_genes,)


def test_p_drop_sampler_has_the_probabilities_of_sample():
    genotypes = run(make_sampler(SMALL, "p_drop", p_drop=0.6, seed=0), range(4000))
    for edge in edges_of(SMALL):
        count = len(edge.operations)
        expected = [0.6, *[0.4 / count] * count] if edge.kind == "branch" else [1 / count] * count
        assert_frequencies(genotypes, edge, expected)


def test_uniform_sampler_counts_none_as_one_of_the_choices():
    genotypes = run(make_sampler(SMALL, "uniform", p_drop=0.6, seed=0), range(4000))
    for edge in edges_of(SMALL):
        assert_frequencies(genotypes, edge, [1 / len(edge.choices)] * len(edge.choices))


def test_fair_sampler_offers_each_operation_once_in_a_window():
    genotypes = run(make_sampler(SMALL, "fair", p_drop=0.0, seed=6), range(900))
    for edge in edges_of(SMALL):
        count = len(edge.operations)
        windows = genotypes[:, edge.index].reshape(-1, count) - (edge.kind == "branch")
        assert (np.sort(windows, axis=1) == np.arange(count)).all()
        assert len(np.unique(windows, axis=0)) > 80
    alike = [e.index for e in edges_of(SMALL) if len(e.operations) == 10]
    assert (genotypes[:, alike[0]] != genotypes[:, alike[1]]).mean() > 0.5


def test_fair_sampler_drops_branches_with_p_drop():
    genotypes = run(make_sampler(SMALL, "fair", p_drop=0.6, seed=6), range(4000))
    offered = run(make_sampler(SMALL, "fair", p_drop=0.0, seed=6), range(4000))
    for edge in edges_of(SMALL):
        genes = genotypes[:, edge.index]
        kept = genes > 0 if edge.kind == "branch" else np.full(4000, True)
        assert (genes[kept] == offered[kept, edge.index]).all()
        if edge.kind == "branch":
            assert abs(kept.mean() - 0.4) < 5 * np.sqrt(0.24 / 4000)


def test_bins_sampler_spreads_the_madds_evenly():
    spread = SMALL.madds_distribution(0.6)
    bounds = np.linspace(spread.quantile(0.01), spread.quantile(0.99), 6)
    sampler = make_sampler(SMALL, "bins", p_drop=0.6, seed=2, bins=5)
    madds = SMALL.madds(run(sampler, range(2000)))
    counts, _ = np.histogram(madds, bounds * [0.999, 1, 1, 1, 1, 1.001])
    assert counts.sum() == 2000
    assert np.abs(counts - 400).max() < 5 * np.sqrt(320) + 20


def test_bins_sampler_aims_at_the_middle_of_each_bin():
    spread = SMALL.madds_distribution(0.6)
    bounds = np.linspace(spread.quantile(0.01), spread.quantile(0.99), 6)
    madds = SMALL.madds(run(make_sampler(SMALL, "bins", p_drop=0.6, seed=2, bins=5), range(2000)))
    for low, high in pairwise(bounds):
        inside = madds[(madds >= low) & (madds <= high)]
        assert abs(inside.mean() - (low + high) / 2) < 0.06 * (high - low)


def test_bins_sampler_works_in_a_chain_space():
    chain = SearchSpace.profile("small", branch_distances=())
    sampler = make_sampler(chain, "bins", p_drop=0.6, seed=2, bins=3)
    assert len(np.unique(run(sampler, range(20)), axis=0)) > 10


def test_bins_that_hold_nothing_are_refused():
    few = SearchSpace.profile("nano", stages=(2,), widths=(8,), kernels=(3,), expands=(1, 6))
    with pytest.raises(ValueError, match="use fewer than 50 bins"):
        make_sampler(few, "bins", p_drop=0.5, seed=0, bins=50)


def test_bins_need_a_range():
    one = SearchSpace.profile("nano", stages=(1, 1), widths=(8, 8), kernels=(3,), expands=(1,))
    with pytest.raises(ValueError, match="networks that all cost"):
        make_sampler(one, "bins", p_drop=0.5, seed=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [-1, 2**63])
def test_a_step_outside_is_refused(kind, step):
    with pytest.raises(ValueError, match="step must lie in"):
        make_sampler(NANO, kind, p_drop=0.5, seed=0).genotype(step)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"kind": "random"}, ValueError, "kind must be one of p_drop, uniform, bins, fair"),
        ({"p_drop": 2}, ValueError, r"p_drop must lie in \[0, 1\], got 2"),
        ({"seed": -1}, ValueError, "seed must lie in"),
        ({"seed": 2**64}, ValueError, "seed must lie in"),
        ({"seed": 1.0}, TypeError, "seed must be an integer"),
        ({"bins": 0}, ValueError, "bins must lie in"),
    ],
)
def test_make_sampler_checks_its_arguments(change, error, message):
    with pytest.raises(error, match=message):
        make_sampler(NANO, **{"kind": "p_drop", "p_drop": 0.5, "seed": 0, **change})


@pytest.mark.parametrize(("n", "error"), [(-1, ValueError), (1.5, TypeError), (True, TypeError)])
def test_sample_checks_n(n, error):
    with pytest.raises(error, match="n must"):
        NANO.sample(n, p_drop=0.5, seed=0)
