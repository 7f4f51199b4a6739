"""The evolution of SPOS and random search: children, elites, limits, and cut off searches."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from cut_off import archives_of_cut_searches

from stnas import search, train
from stnas.config import SearchConfig, SpaceConfig
from stnas.search.candidates import Bounds
from stnas.search.choices import check_limits
from stnas.search.objectives import Candidate, Objectives
from stnas.search.spos import mixed, redrawn
from stnas.search.strategies import evolve
from stnas.space import SearchSpace

SPACE = SearchSpace.profile("nano", family="spos", image_size=28, in_channels=1)
ALL = np.array(np.unravel_index(np.arange(4096), (4,) * 6)).T.astype(np.int8)
CONFIG = SearchConfig(strategy="spos", population=20, generations=12, measure="accuracy")
WORTH = np.random.default_rng(5).normal(size=(6, 4))
PAIRS = np.random.default_rng(6).normal(size=(5, 4, 4))


def worth(rows):
    """Score rows by what each gene and each pair of neighbours brings, in (0, 1)."""
    single = sum(WORTH[gene, rows[:, gene]] for gene in range(6))
    pairs = sum(PAIRS[gene, rows[:, gene], rows[:, gene + 1]] for gene in range(5))
    return 1 / (1 + np.exp(-(single + 0.5 * pairs) / 4))


def scored(genotypes, generation):
    rows = np.array(genotypes, np.int8).reshape(-1, 6)
    madds, accuracy = SPACE.madds(rows), worth(rows)
    return [
        Candidate(row, int(madds[i]), 1, float(accuracy[i]), 0.0, generation)
        for i, row in enumerate(genotypes)
    ]


def searched(config=CONFIG, limits=(1e9,), seed=0, evaluate=scored, space=SPACE):
    bounds, quiet = Bounds(space, config), lambda *_: None
    options = {"p_drop": 0.5, "seed": seed, "evaluate": evaluate, "report": quiet}
    return evolve(bounds, config, list(limits), **options)


def rank_of(archive, limit=1e9):
    """Return how many of all networks under a limit are better than the archive's best."""
    inside = SPACE.madds(ALL) <= limit
    best = max(c.accuracy for c in archive if c.madds <= limit)
    return int((worth(ALL[inside]) > best).sum())


@pytest.mark.parametrize("strategy", ["spos", "random"])
def test_it_evaluates_as_many_networks_as_asked_and_none_twice(strategy):
    archive = searched(replace(CONFIG, strategy=strategy), limits=(350_000,))
    assert len({SPACE.format(c.genotype) for c in archive}) == len(archive) == 240
    assert [c.generation for c in archive] == [i // 20 for i in range(240)]
    assert max(c.madds for c in archive) <= 350_000


@pytest.mark.parametrize("strategy", ["spos", "random"])
def test_it_is_a_function_of_the_seed(strategy):
    config = replace(CONFIG, strategy=strategy)
    texts = [[SPACE.format(c.genotype) for c in searched(config, seed=seed)] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_the_evolution_comes_near_the_best_of_all_networks():
    ranks = [rank_of(searched(seed=seed)) for seed in range(5)]
    drawn = [rank_of(searched(replace(CONFIG, strategy="random"), seed=s)) for s in range(5)]
    assert max(ranks) < 8
    assert np.mean(ranks) < np.mean(drawn)


def test_every_limit_has_an_evolution_of_its_own():
    limits = [300_000, 340_000, 400_000]
    archive = searched(replace(CONFIG, population=21, generations=15), limits=limits)
    assert len(archive) == 315
    assert [rank_of(archive, limit) < 12 for limit in limits] == [True] * 3
    first = [c.madds for c in archive if c.generation == 0]
    assert all(madds <= limits[i // 7] for i, madds in enumerate(first))


def test_children_are_of_the_best_of_all_that_were_evaluated():
    config = replace(CONFIG, elite=1, gene_mutation=0.2, generations=5)
    archive = searched(config)
    for generation in range(1, 5):
        before = [c for c in archive if c.generation < generation]
        best = max(before, key=lambda c: c.accuracy).genotype
        children = [c.genotype for c in archive if c.generation == generation]
        shared = [int((row == best).sum()) for row in children[:10]]  # The mutants.
        assert np.mean(shared) > 3.5  # 4.8 are expected, of random ones 1.5.


def test_a_mutant_redraws_each_gene_with_its_chance_over_all_choices():
    rng, row = np.random.default_rng(0), np.array([0, 1, 2, 3, 0, 1], np.int8)
    rows = np.stack([redrawn(row, SPACE, 0.4, rng) for _ in range(4000)])
    assert rows.dtype == np.int8
    assert (rows != row).mean() == pytest.approx(0.4 * 3 / 4, abs=0.01)
    others = Counter(rows[rows[:, 2] != 2, 2].tolist())
    assert sorted(others) == [0, 1, 3]
    assert min(others.values()) > 0.8 * max(others.values())
    assert (redrawn(row, SPACE, 0.0, rng) == row).all()


def test_a_crossing_takes_each_gene_from_either_parent():
    rng, parents = np.random.default_rng(0), (np.zeros(6, np.int8), np.ones(6, np.int8))
    rows = np.stack([mixed(*parents, rng) for _ in range(4000)])
    assert rows.mean(0) == pytest.approx(0.5, abs=0.03)
    assert np.corrcoef(rows[:, 0], rows[:, 1])[0, 1] == pytest.approx(0, abs=0.05)


def test_ties_go_to_less_loss_and_then_to_fewer_multiply_adds():
    row = ALL[0]
    found = [
        Candidate(row, madds, 1, accuracy, loss, 0)
        for madds, accuracy, loss in [(5, 0.5, 0.3), (9, 0.5, 0.2), (8, 0.5, 0.2), (1, 0.4, 0.1)]
    ]
    best = Objectives("accuracy", by_loss=True).best(found, 3)
    assert [c.madds for c in best] == [8, 9, 5]
    assert [c.madds for c in Objectives("accuracy").best(found, 3)] == [5, 8, 9]


@pytest.mark.parametrize("strategy", ["spos", "random"])
def test_a_space_that_is_all_known_ends_the_search_in_peace(strategy):
    space = SearchSpace.profile("nano", family="spos", stages=(1,), widths=(24,), image_size=8)
    config = replace(CONFIG, strategy=strategy, population=3, generations=4)

    def evaluate(genotypes, generation):
        return [Candidate(row, 1, 1, 0.5, 0.0, generation) for row in genotypes]

    assert len(searched(config, space=space, evaluate=evaluate)) == space.num_architectures == 4


def test_bounds_without_networks_are_refused():
    config = replace(CONFIG, madds_min=264_301, madds_max=264_302)
    with pytest.raises(ValueError, match="must leave an architecture that sampling finds"):
        searched(config, limits=[264_302])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "genetic"}, "search.strategy must be one of nsga2, spos, random"),
        ({"elite": 0}, "search.elite must be 1 or more"),
        ({"gene_mutation": 1.5}, r"search.gene_mutation must be in \[0, 1\]"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SearchConfig(**options)


def test_a_limit_below_the_least_network_is_refused_with_the_range(tiny_config):
    config = replace(tiny_config, search=replace(tiny_config.search, limits=(1e5,)))
    message = r"got 100,000 where the smallest that there can be has 264,300 of at most 431,124"
    with pytest.raises(ValueError, match=message):
        check_limits(config, SPACE)


@pytest.fixture
def trained(tiny_config):
    space = SpaceConfig(
        family="spos", profile="nano", stages=(2, 2), widths=(8, 12), stem_width=4, tail_width=8
    )
    config = replace(
        tiny_config,
        space=space,
        train=replace(tiny_config.train, momentum=0.9, learning_rate=0.1),
        search=replace(
            tiny_config.search, strategy="spos", score="single", measure="accuracy",
            population=6, generations=4, random=5, limits=(14_000, 1e6),
        ),
    )  # fmt: skip
    train.run(config)
    return config


@pytest.mark.parametrize("strategy", ["spos", "nsga2", "random"])
def test_a_search_that_is_cut_off_at_any_generation_comes_to_the_same_archive(strategy, trained):
    trained = replace(trained, search=replace(trained.search, strategy=strategy))
    wanted, *others = archives_of_cut_searches(trained, "archive.jsonl", "front.json")
    assert len(wanted[0].splitlines()) == 24
    assert others == [wanted] * 4


def test_an_archive_is_not_gone_on_with_by_another_strategy(trained):
    search.run(replace(trained, search=replace(trained.search, strategy="nsga2")))
    with pytest.raises(ValueError, match=r"search.strategy"):
        search.run(trained)
