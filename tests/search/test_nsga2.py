"""NSGA-II finds the front of a known problem, inside its bounds, each network once."""

from dataclasses import replace

import numpy as np
import pytest

from stnas.config import SearchConfig
from stnas.search.candidates import Archive, Bounds, feasible_samples
from stnas.search.choices import choices
from stnas.search.nsga2 import child, evolve, fitness, front, survivors
from stnas.search.objectives import Candidate, Objectives
from stnas.search.variation import crossover, mutate
from stnas.space import SearchSpace
from stnas.space.topology import edges_of

SPACE = SearchSpace.profile("nano", image_size=16, in_channels=1)
CONFIG = SearchConfig(population=12, generations=10, measure="accuracy")
ACCURACY = Objectives("accuracy")
LOSS = Objectives("loss")


def candidate(madds, accuracy, *, genotype=None, generation=0):
    row = SPACE.sample(1, p_drop=0.5, seed=0)[0] if genotype is None else genotype
    return Candidate(row, madds, 1, accuracy, 0.0, generation)


def made_up(genotype, generation):
    """Score a genotype by a known function: more multiply-adds are better, with a bonus a gene."""
    madds = int(SPACE.madds(genotype[None])[0])
    accuracy = 1 - 1e5 / madds + 0.01 * np.count_nonzero(genotype == 1)
    return Candidate(genotype, madds, 1, accuracy, 0.0, generation)


def search(config=CONFIG, evaluate=made_up, seed=0, windows=(), p_drop=0.5):
    bounds, each_one = Bounds(SPACE, config), each(evaluate)
    options = {"p_drop": p_drop, "seed": seed, "report": lambda *_: None}
    return evolve(bounds, config, list(windows), evaluate=each_one, **options)


def each(evaluate):
    """Evaluate a generation one by one."""
    return lambda genotypes, generation: [evaluate(genotype, generation) for genotype in genotypes]


def test_it_evaluates_as_many_networks_as_asked_and_none_twice():
    archive = search()
    assert len(archive) == 120
    keys = SPACE.canonical(np.stack([c.genotype for c in archive]))
    assert len(set(keys.tolist())) == 120
    assert [c.generation for c in archive] == sorted(c.generation for c in archive)


def test_it_is_a_function_of_the_seed():
    texts = [[SPACE.format(c.genotype) for c in search(seed=seed)] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_it_finds_better_networks_than_as_many_random_ones():
    found = max(c.accuracy for c in search(replace(CONFIG, generations=20)))
    drawn = SPACE.sample(240, p_drop=0.5, seed=9)
    assert found > max(made_up(genotype, 0).accuracy for genotype in drawn)


def test_bounds_hold_for_everything_that_is_evaluated():
    low, high = 700_000, 900_000
    archive = search(replace(CONFIG, madds_min=low, madds_max=high, params_max=60_000))
    assert len(archive) == 120
    genotypes = np.stack([c.genotype for c in archive])
    assert ((SPACE.madds(genotypes) >= low) & (SPACE.madds(genotypes) <= high)).all()
    assert (SPACE.params(genotypes) <= 60_000).all()


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"madds_max": 10}, r"search\.madds_min and search\.madds_max .*misses what the space"),
        ({"madds_min": 1e12}, r"misses what the space reaches"),
        ({"params_max": 10}, r"search\.params_min"),
        ({"madds_min": 700_000.2, "madds_max": 700_000.4}, "sampling finds.*widen the windows"),
    ],
)
def test_a_window_without_an_architecture_is_refused(bounds, message):
    with pytest.raises(ValueError, match=message):
        search(replace(CONFIG, **bounds))


def test_a_space_smaller_than_the_budget_is_searched_to_its_end():
    space = SearchSpace.profile(
        "nano", stages=(2,), widths=(4,), kernels=(3,), expands=(1,), image_size=8
    )
    config = SearchConfig(population=5, generations=4)
    archive = evolve(
        Bounds(space, config),
        config,
        [],
        p_drop=0.5,
        seed=0,
        evaluate=each(lambda g, n: Candidate(g, int(space.madds(g[None])[0]), 1, 0.5, 0.0, n)),
        report=lambda *_: None,
    )
    assert len(archive) == space.num_architectures == 2


def test_fitness_orders_by_rank_then_by_room():
    points = [candidate(1, 0.1), candidate(2, 0.2), candidate(3, 0.9), candidate(3, 0.1)]
    key = fitness(ACCURACY.points(points))
    assert key[:, 0].tolist() == [0, 0, 0, 1]
    assert np.isinf(key[[0, 2], 1]).all()
    assert np.isfinite(key[1, 1])
    assert [c.madds for c in survivors(points, 2, ACCURACY)] == [1, 3]


def test_the_front_is_ascending_and_holds_equal_points_once():
    points = [candidate(3, 0.9), candidate(1, 0.1), candidate(1, 0.1), candidate(2, 0.05)]
    assert [(c.madds, c.accuracy) for c in front(points, ACCURACY)] == [(1, 0.1), (3, 0.9)]


def test_crossover_takes_the_first_genes_of_one_and_the_rest_of_the_other():
    rng = np.random.default_rng(0)
    first, second = np.zeros(9, np.int8), np.ones(9, np.int8)
    points = {int(np.argmax(crossover(first, second, rng))) for _ in range(200)}
    assert points == set(range(1, 9))
    assert all((np.diff(crossover(first, second, rng)) >= 0).all() for _ in range(20))


def test_mutation_changes_one_gene_to_another_choice_of_its_edge():
    rng = np.random.default_rng(0)
    genotype = SPACE.sample(1, p_drop=0.5, seed=0)[0]
    seen = {edge.index: set() for edge in edges_of(SPACE)}
    for _ in range(2000):
        changed = mutate(genotype, SPACE, rng)
        (gene,) = np.flatnonzero(changed != genotype)
        seen[int(gene)].add(int(changed[gene]))
    for edge in edges_of(SPACE):
        assert seen[edge.index] == set(range(len(edge.choices))) - {int(genotype[edge.index])}


def test_children_without_crossover_and_mutation_are_parents():
    rng = np.random.default_rng(0)
    parents = [made_up(genotype, 0) for genotype in SPACE.sample(4, p_drop=0.5, seed=0)]
    config = replace(CONFIG, crossover=0.0, mutation=0.0)
    made = child(parents, fitness(ACCURACY.points(parents)), space=SPACE, config=config, rng=rng)
    assert any((made == parent.genotype).all() for parent in parents)


def test_the_archive_knows_a_network_by_its_canonical_form():
    archive = Archive(SPACE)
    genotype = SPACE.sample(1, p_drop=0.5, seed=0)[0]
    assert archive.add(genotype)
    assert not archive.add(genotype.copy())


def test_feasible_samples_come_to_an_end():
    bounds = Bounds(SPACE, replace(CONFIG, madds_min=700_000.2, madds_max=700_000.4))
    assert list(feasible_samples(bounds, p_drop=0.5, rng=np.random.default_rng(0))) == []


def test_choices_are_the_most_accurate_under_each_limit():
    rows = SPACE.sample(3, p_drop=0.5, seed=0)
    points = [(10, 0.5), (20, 0.7), (30, 0.6)]
    archive = [candidate(*p, genotype=g) for p, g in zip(points, rows, strict=True)]
    chosen = choices(SPACE, archive, [5, 15, 25, 100], ACCURACY)
    assert [(c["name"], c["limit"], c["madds"]) for c in chosen] == [("A", 15, 10), ("B", 25, 20)]
    with pytest.raises(ValueError, match="smallest found has 10 MAdds"):
        choices(SPACE, archive, [5], ACCURACY)
