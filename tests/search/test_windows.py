"""Candidates are made for the windows below the limits, and the choice says what it lacks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnas.config import SearchConfig
from stnas.learn.task import Task
from stnas.search.candidates import Bounds
from stnas.search.choices import choice_limits, choices, unmet
from stnas.search.nsga2 import evolve
from stnas.search.objectives import Candidate, Objectives
from stnas.search.windows import Window, children, ends, parents, samples, steered, windows
from stnas.space import SearchSpace

SPACE = SearchSpace.profile("micro", stem_stride=2, residual="all")
CONFIG = SearchConfig(population=20, generations=6, aimed=0.5, window=0.1)
LOSS = Objectives("loss")
BOUNDS = Bounds(SPACE, CONFIG)


def made_up(genotypes, generation):
    """Score genotypes by a known function: loss falls with multiply-adds and one operation."""
    madds = SPACE.madds(np.stack(genotypes)).tolist() if genotypes else []
    return [
        Candidate(g, m, 1, 0.5, 1e6 / m - 0.01 * int((g == 1).sum()), generation)
        for g, m in zip(genotypes, madds, strict=True)
    ]


def search(limits, config=CONFIG, seed=0):
    return evolve(
        Bounds(SPACE, config),
        config,
        windows(config, limits),
        p_drop=0.6,
        seed=seed,
        evaluate=made_up,
        report=lambda *_: None,
    )


def count(archive, low, high):
    return sum(low <= candidate.madds <= high for candidate in archive)


def test_the_aimed_share_of_a_generation_lies_in_the_windows():
    limits = [500_000, 2_000_000]
    archive = search(limits)
    assert len(archive) == 120
    keys = SPACE.canonical(np.stack([c.genotype for c in archive]))
    assert len(set(keys.tolist())) == 120
    for limit in limits:
        assert count(archive, 0.9 * limit, limit) >= 30
    plain = search(limits, replace(CONFIG, aimed=0.0))
    assert len(plain) == 120
    assert count(plain, 450_000, 500_000) < 10


def test_aimed_children_are_better_than_random_ones_of_the_window():
    window = Window(1_800_000, 2_000_000)
    found = min(c.loss for c in search([window.limit]) if window.holds(c.madds))
    bounds = Bounds(SPACE, CONFIG).narrowed(window.low, window.limit)
    drawn = list(samples(bounds, window, np.random.default_rng(5)))[:60]
    assert found < min(candidate.loss for candidate in made_up(drawn, 0))


def test_the_first_generation_has_both_ends_of_the_space():
    archive = [c for c in search([2_000_000]) if c.generation == 0]
    drawn = SPACE.madds(SPACE.sample(4000, p_drop=0.6, seed=3))
    assert min(c.madds for c in archive) < drawn.min()
    assert max(c.madds for c in archive) > drawn.max()


def test_the_ends_lie_inside_the_bounds():
    bounds = Bounds(SPACE, replace(CONFIG, madds_max=1_000_000, madds_min=500_000))
    assert bounds.hold(np.stack(list(ends(bounds, np.random.default_rng(0))))).all()


def test_it_is_a_function_of_the_seed():
    texts = [[SPACE.format(c.genotype) for c in search([900_000], seed=s)] for s in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("limit", [1_000.0, 1e12])
def test_a_window_without_candidates_takes_nothing_from_the_search(limit):
    config = replace(CONFIG, population=6, generations=2)
    assert len(search([limit], config)) == 12


@given(st.integers(0, 2**32), st.floats(2.5e5, 4e6))
def test_steering_never_leads_away_and_keeps_what_is_inside(seed, limit):
    window, rng = Window(0.9 * limit, limit), np.random.default_rng(seed)
    genotype = SPACE.sample(1, p_drop=0.6, seed=seed)[0]
    before = window.distance(int(SPACE.madds(genotype[None])[0]))
    moved = steered(genotype, window, BOUNDS, rng)
    assert window.distance(int(SPACE.madds(moved[None])[0])) <= before
    if before == 0:
        assert (moved == genotype).all()


def test_children_of_a_window_lie_in_it():
    window = Window(900_000, 1_000_000)
    bounds = Bounds(SPACE, CONFIG).narrowed(window.low, window.limit)
    known = made_up(list(SPACE.sample(6, p_drop=0.6, seed=0)), 0)
    found = list(children(bounds, known, window, CONFIG, np.random.default_rng(0)))
    assert len(found) > 500
    assert all(window.holds(madds) for madds in SPACE.madds(np.stack(found)))


def test_parents_are_the_best_inside_then_the_nearest():
    rows = SPACE.sample(5, p_drop=0.6, seed=0)
    points = [(100, 0.5), (95, 0.4), (80, 0.1), (120, 0.2), (91, 0.6)]
    archive = [Candidate(g, m, 1, 0.0, v, 0) for g, (m, v) in zip(rows, points, strict=True)]
    window = Window(90, 100)
    assert [c.madds for c in parents(archive, window, LOSS, 2)] == [95, 100]
    assert [c.madds for c in parents(archive, window, LOSS, 5)] == [95, 100, 91, 80, 120]


def candidates(*points):
    rows = SPACE.sample(len(points), p_drop=0.6, seed=0)
    return [Candidate(g, m, 1, a, v, 0) for g, (m, a, v) in zip(rows, points, strict=True)]


def test_the_measure_decides_the_choice_and_ties_take_the_smaller():
    archive = candidates((30, 0.9, 1.0), (20, 0.8, 0.5), (10, 0.8, 0.5))
    for objectives, madds in ((LOSS, 10), (Objectives("accuracy"), 30)):
        assert [c["madds"] for c in choices(SPACE, archive, [40], objectives)] == [madds]


def test_every_limit_without_a_network_says_why():
    archive = candidates((30, 0.9, 1.0), (20, 0.8, 0.5))
    limits = [10.0, 25.0, 40.0]
    chosen = choices(SPACE, archive, limits, LOSS)
    assert [(c["name"], c["limit"]) for c in chosen] == [("A", 25.0)]
    small, same = unmet(archive, limits, chosen, LOSS)
    assert small["limit"] == 10.0
    assert "the smallest of 2 candidates has 20 MAdds: raise the limit" in small["reason"]
    assert same["limit"] == 40.0
    assert "no candidate is better than A of 20 MAdds" in same["reason"]
    assert unmet(archive, [25.0], chosen, LOSS) == []


@pytest.mark.parametrize("size", [28, 48, 96])
def test_shares_of_the_range_are_limits_at_every_size(size, tiny_config):
    space = SearchSpace.profile("nano", image_size=size, in_channels=3)
    task = Task(dataset=None, space=space, p_drop=0.6, sampler=None)
    shares = (1.0, 0.12, 0.27)
    config = replace(tiny_config, search=replace(tiny_config.search, limit_shares=shares))
    low, high, most = choice_limits(config, task)
    cost = space.madds_cost
    assert cost.least < low < high < most == cost.most
    assert (low - cost.least) / (cost.most - cost.least) == pytest.approx(0.12, abs=1e-5)
    named = replace(config, search=replace(config.search, limits=(5e5,)))
    assert choice_limits(named, task) == [5e5]


@pytest.mark.parametrize("shares", [(), (0.5, 0.5), (0.0,), (1.5,), (float("nan"),)])
def test_shares_outside_the_range_are_refused(shares):
    with pytest.raises(ValueError, match=r"search\.limit_shares must be .*got "):
        SearchConfig(limit_shares=shares)
