"""Laws that chains are drawn by: their distributions, enumerated, and wrong figures."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from stnas.config import TrainConfig
from stnas.space import SearchSpace, make_sampler

SPACE = SearchSpace.profile("nano", family="spos")
ALL = np.array(np.unravel_index(np.arange(4096), (4,) * 6)).T.astype(np.int8)
IMAGENET = SearchSpace.profile("imagenet", family="spos")
PAPER = [290e6 + 10e6 * i for i in range(8)]


def drawn(kind, steps, **options):
    sampler = make_sampler(SPACE, kind, **{"p_drop": 0.5, "seed": 7, **options})
    return np.stack([sampler.genotype(step) for step in range(steps)])


def chi_square(seen, wanted):
    return float(((np.asarray(seen) - wanted) ** 2 / wanted).sum())


def test_uniform_draws_every_network_alike():
    rows = drawn("uniform", 16_384)
    counts = np.bincount(np.ravel_multi_index(rows.T.astype(int), (4,) * 6), minlength=4096)
    assert abs(chi_square(counts, 4.0) - 4095) < 4 * np.sqrt(2 * 4095)


def test_tilted_has_its_mean_and_the_probabilities_of_its_prior():
    p_drop = SPACE.solve_p_drop(400_000)
    rows = drawn("tilted", 8192, p_drop=p_drop)
    for gene, chances in enumerate(SPACE.prior.chances(SPACE.genes, p_drop)):
        assert chi_square(np.bincount(rows[:, gene], minlength=4), 8192 * chances) < 21.1
    spread = SPACE.variance_madds(p_drop) ** 0.5
    assert abs(SPACE.madds(rows).mean() - 400_000) < 4 * spread / np.sqrt(8192)


def test_fair_draws_every_choice_once_in_four_steps_in_orders_that_differ():
    rows = drawn("fair", 4000).reshape(1000, 4, 6)
    assert (np.sort(rows, axis=1) == np.arange(4)[:, None]).all()
    orders = Counter(map(tuple, rows[:, :, 0].tolist()))
    assert len(orders) == 24
    assert chi_square(list(orders.values()), 1000 / 24) < 55
    assert 0.2 < (rows[:, :, 0] == rows[:, :, 1]).mean() < 0.3


def test_bins_are_drawn_alike_and_networks_alike_inside_each():
    ends = [400_000, 420_000, 460_000, 545_280]
    rows = drawn("bins", 12_000, bounds=ends)
    madds, costs = SPACE.madds(rows), SPACE.madds(ALL)
    places = np.searchsorted(ends[1:-1], madds, side="right")
    assert chi_square(np.bincount(places, minlength=3), 4000) < 18.5
    for place, (low, high) in enumerate(pairwise(ends)):
        members = np.flatnonzero((costs >= low) & ((costs < high) | (high == costs.max())))
        numbers = np.ravel_multi_index(rows[places == place].T.astype(int), (4,) * 6)
        assert set(numbers) <= set(members)
        seen, degrees = Counter(numbers.tolist()), len(members) - 1
        counts = [seen[member] for member in members.tolist()]
        wanted = len(numbers) / len(members)
        assert abs(chi_square(counts, wanted) - degrees) < 4 * np.sqrt(2 * degrees) + 8
    assert madds.max() <= 545_280


def test_the_last_bin_alone_holds_its_upper_end():
    space = SearchSpace.profile("nano", family="spos", stages=(1,), widths=(24,))
    costs = sorted(set(space.madds([[k] for k in range(4)]).tolist()))
    bounds = [costs[0], costs[1], costs[-1]]
    sampler = make_sampler(space, "bins", p_drop=0.5, seed=0, bounds=bounds)
    rows = np.stack([sampler.genotype(step) for step in range(400)])
    found = Counter(space.madds(rows).tolist())
    assert set(found) == set(costs)
    assert found[costs[0]] == pytest.approx(200, abs=50)


def test_the_bins_of_the_paper_hold_networks():
    sampler = make_sampler(IMAGENET, "bins", p_drop=0.5, seed=1, bounds=PAPER)
    rows = np.stack([sampler.genotype(step) for step in range(700)])
    counts, _ = np.histogram(IMAGENET.madds(rows), PAPER)
    assert counts.sum() == 700
    assert chi_square(counts, 100) < 27.9


def test_counting_finds_all_networks():
    sampler = make_sampler(IMAGENET, "bins", p_drop=0.5, seed=1, bounds=PAPER)
    assert sampler.ends[0].below[-1] == 4**20
    assert len(sampler.ends[0].costs) == len(set(sampler.ends[0].costs))


@pytest.mark.parametrize("kind", ["uniform", "fair", "bins", "tilted"])
def test_a_draw_is_a_function_of_seed_and_step(kind):
    assert (drawn(kind, 50) == drawn(kind, 50)).all()
    assert (drawn(kind, 50) != drawn(kind, 50, seed=8)).any()


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ([100_000, 200_000], r"must each hold networks, got none in \[100,000, 200,000\]"),
        (
            [400_000, 400_001, 500_000],
            r"must each .* in \[400,000, 400,001\] where the space reaches",
        ),
    ],
)
def test_a_bin_without_networks_is_refused(bounds, message):
    with pytest.raises(ValueError, match=rf"train.madds_bins {message}"):
        make_sampler(SPACE, "bins", p_drop=0.5, seed=0, bounds=bounds)


def test_laws_of_chains_are_refused_where_edges_may_be_left_out():
    space = SearchSpace.profile("nano")
    with pytest.raises(ValueError, match=r"train.sampling must be p_drop .*, got tilted"):
        make_sampler(space, "tilted", p_drop=0.5, seed=0)
    with pytest.raises(ValueError, match=r"train.madds_bins must be left out"):
        make_sampler(space, "bins", p_drop=0.5, seed=0, bounds=[1, 2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampling": "tilted"}, "train.madds must be given with train.sampling tilted"),
        ({"sampling": "uniform", "madds": 4e5}, "train.madds must be used with train.sampling"),
        ({"madds_bins": (1.0, 2.0)}, "train.madds_bins must be left out, or used with"),
        ({"sampling": "bins", "madds_bins": (1.0,)}, "train.madds_bins must be two numbers"),
        ({"sampling": "bins", "madds_bins": (2.0, 1.0)}, "train.madds_bins must be two numbers"),
        ({"momentum": 1.0}, r"train.momentum must lie in \[0, 1\), got 1.0: "),
        ({"momentum": -0.1}, r"train.momentum must lie in \[0, 1\)"),
        ({"momentum": float("nan")}, r"train.momentum must lie in \[0, 1\)"),
        ({"label_smoothing": 1.0}, r"train.label_smoothing must lie in \[0, 1\)"),
        ({"schedule": "step"}, "train.schedule must be one of cosine, linear"),
        ({"initialisation": "zero"}, "train.initialisation must be one of torch, normal"),
    ],
)
def test_wrong_figures_of_training_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**options)
