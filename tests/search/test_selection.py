"""Who survives, becomes a parent and is chosen, against pymoo, moocore and closed forms."""

from math import log
from types import SimpleNamespace

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymoo.algorithms.moo.nsga2 import binary_tournament
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

from stnas.config import SearchConfig
from stnas.search.candidates import Bounds
from stnas.search.choices import choices
from stnas.search.nsga2 import child, evolve, fitness, survivors, tournament
from stnas.search.objectives import Candidate, Objectives
from stnas.search.stage import hypervolume_share
from stnas.space import SearchSpace

SPACE = SearchSpace.profile("nano", image_size=16, in_channels=1, num_classes=10)
ROWS = SPACE.sample(4, p_drop=0.5, seed=0)
MEASURES = [Objectives("accuracy"), Objectives("loss")]
# Points that share no coordinate, so that neither pymoo nor we have a tie to settle.
DISTINCT = st.integers(5, 30).flatmap(
    lambda n: st.tuples(st.permutations(range(n)), st.permutations(range(n)))
)


def candidate(madds, wrong, *, genotype=ROWS[0], generation=0):
    """Make a candidate whose loss and error are both ``wrong``."""
    return Candidate(genotype, madds, 1, 1 - wrong, wrong, generation)


def population(coordinates, objectives):
    """Give the same points as candidates and as pymoo's individuals with rank and crowding."""
    pairs = zip(*coordinates, strict=True)
    own = [candidate(1 + madds, wrong / 64) for madds, wrong in pairs]
    theirs = Population.new("F", np.array([[c.madds, objectives.value(c)] for c in own]))
    pymoos_survivors(theirs, len(own))
    return own, theirs


def pymoos_survivors(individuals, size):
    """Let pymoo write rank and crowding into individuals, and keep some of them."""
    return RankAndCrowding().do(Problem(n_var=1, n_obj=2), individuals, n_survive=size)


@given(DISTINCT, st.sampled_from(MEASURES))
def test_ranks_and_crowding_are_pymoos_within_each_front(coordinates, objectives):
    own, theirs = population(coordinates, objectives)
    key = fitness(objectives.points(own))
    np.testing.assert_array_equal(key[:, 0], theirs.get("rank"))
    np.testing.assert_allclose(-key[:, 1] / 2, theirs.get("crowding"))  # theirs is a mean


@given(DISTINCT, st.sampled_from(MEASURES), st.data())
def test_survivors_are_pymoos(coordinates, objectives, data):
    own, theirs = population(coordinates, objectives)
    size = data.draw(st.integers(1, len(own)))
    key = fitness(objectives.points(own))
    kept = key[[own.index(c) for c in survivors(own, size, objectives)]]
    theirs = pymoos_survivors(theirs, size)
    expected = np.stack((theirs.get("rank"), -2 * theirs.get("crowding")), axis=1)
    np.testing.assert_allclose(sorted(kept.tolist()), sorted(expected.tolist()))


class Pair:
    """Draws the same two individuals again and again."""

    def __init__(self, *pair):
        self.pair = pair

    def integers(self, high, size):
        assert (max(self.pair) < high, size) == (True, 2)
        return np.array(self.pair)


@given(DISTINCT, st.data())
def test_the_tournament_is_won_by_pymoos_winner(coordinates, data):
    own, theirs = population(coordinates, MEASURES[1])
    for one in theirs:
        one.set("CV", np.zeros(1))
    key = fitness(MEASURES[1].points(own))
    pair = data.draw(st.tuples(*2 * [st.integers(0, len(own) - 1)]))
    won = tournament(key, Pair(*pair))
    rules = SimpleNamespace(
        tournament_type="comp_by_rank_and_crowding", random_state=np.random.default_rng(0)
    )
    expected = int(binary_tournament(theirs, np.array([pair]), algorithm=rules)[0, 0])
    np.testing.assert_allclose(key[won], key[expected])  # of equal ones either may win


def test_survivors_of_earlier_generations_stay_parents():
    """The first generation dominates all others, so every child is a mutant of one of it."""
    config = SearchConfig(crossover=0.0, mutation=1.0, population=6, generations=6)

    def first_is_best(genotypes, generation):
        point = (1, 0.1) if generation == 0 else (9, 0.9)
        return [candidate(*point, genotype=g, generation=generation) for g in genotypes]

    archive = evolve(
        Bounds(SPACE, config),
        config,
        [],
        p_drop=0.5,
        seed=0,
        evaluate=first_is_best,
        report=lambda *_: None,
    )
    first = np.stack([c.genotype for c in archive[:6]])
    assert len(archive) == 36
    for later in archive[6:]:
        assert (first != later.genotype).sum(axis=1).min() == 1


@pytest.mark.parametrize(("crossing", "mutating"), [(1.0, 0.0), (0.0, 1.0)])
def test_crossover_and_mutation_have_each_their_own_probability(crossing, mutating):
    """With the one alone genes are all of two parents, with the other one gene is of none."""
    rng = np.random.default_rng(0)
    rows = np.array([[choice] * len(SPACE.choice_counts) for choice in (0, 1)], np.int8)
    parents = [candidate(1, 0.5, genotype=row) for row in rows]
    config = SearchConfig(crossover=crossing, mutation=mutating)
    made = [
        child(parents, np.zeros((2, 2)), space=SPACE, config=config, rng=rng) for _ in range(60)
    ]
    changed = [int((rows != row).sum(axis=1).min()) for row in made]
    if mutating:
        assert set(changed) == {1}
    else:
        assert max(changed) > 1
        assert all((np.diff(row) != 0).sum() <= 1 for row in made)


@pytest.mark.parametrize("objectives", MEASURES, ids=lambda o: o.measure)
@pytest.mark.parametrize("order", [1, -1])
def test_of_equally_good_networks_the_smaller_one_is_chosen(objectives, order):
    points = [(10, 0.5), (20, 0.25), (30, 0.25)]
    archive = [candidate(*p, genotype=g) for p, g in zip(points, ROWS, strict=False)][::order]
    (chosen,) = choices(SPACE, archive, [40], objectives)
    assert chosen["madds"] == 20


@pytest.mark.parametrize(
    ("objectives", "worst"), [(MEASURES[0], 1.0), (MEASURES[1], log(10))], ids=("accuracy", "loss")
)
def test_the_hypervolume_is_the_share_of_what_the_largest_network_spans(objectives, worst):
    """It is measured from the largest network at accuracy 0, or at the loss of chance."""
    most = int(SPACE.madds(largest_network()[None])[0])
    points = [(most // 4, 0.5), (most // 2, 0.25), (most // 2, 0.75)]
    archive = [candidate(*point) for point in points]
    area = moocore.hypervolume(np.array(points, float), ref=np.array([most, worst]))
    share = hypervolume_share(SPACE, archive, objectives)
    assert share == pytest.approx(area / most / worst, rel=1e-12)
    assert hypervolume_share(SPACE, [candidate(0, 0.0)], objectives) == pytest.approx(1)
    assert hypervolume_share(SPACE, [candidate(most, 0.0)], objectives) == 0


def largest_network():
    """Find a network with the most multiply-adds one gene at a time, as their costs add up."""
    row = np.zeros(len(SPACE.choice_counts), np.int8)
    for gene, count in enumerate(SPACE.choice_counts):
        tries = np.repeat(row[None], int(count), axis=0)
        tries[:, gene] = range(int(count))
        row = tries[SPACE.madds(tries).argmax()]
    return row
