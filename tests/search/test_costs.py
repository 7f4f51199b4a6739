"""Any cost of the space is an objective, a bound or what the limits are about."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from stnas.config import SearchConfig
from stnas.config.search import parse_bound
from stnas.retrain.plan import random_twins
from stnas.search.candidates import Bounds
from stnas.search.choices import choices
from stnas.search.evaluator import finite, further_costs
from stnas.search.nsga2 import evolve, front
from stnas.search.objectives import Candidate, Objectives, objectives_of
from stnas.search.stage import hypervolume_share, largest
from stnas.search.windows import windows
from stnas.space import SearchSpace


@dataclass(frozen=True, eq=False)
class Used:
    """A cost that is no sum over the genes: squared number of genes that are not 0."""

    name: str = "used"
    unit: str = "genes^2"

    def __call__(self, genotypes):
        return np.count_nonzero(genotypes, axis=1).astype(np.float64) ** 2


def space_with(*costs):
    space = SearchSpace.profile("micro", stem_stride=2)
    return replace(space, more_costs=costs)


SPACE = space_with(Used())
CONFIG = SearchConfig(population=16, generations=4, cost="used")


def search(config, limits=()):
    def evaluate(genotypes, generation):
        return [
            Candidate(
                genotype=g,
                madds=int(SPACE.madds(g[None])[0]),
                params=int(SPACE.params(g[None])[0]),
                accuracy=0.5,
                loss=1 / (1 + int((g == 3).sum())),
                generation=generation,
                more={"used": float(Used()(g[None])[0])},
            )
            for g in genotypes
        ]

    return evolve(
        Bounds(SPACE, config),
        config,
        windows(config, list(limits)),
        p_drop=0.6,
        seed=0,
        evaluate=evaluate,
        report=lambda *_: None,
    )


def test_the_windows_are_of_the_cost():
    limits = [100.0, 225.0]
    archive = search(replace(CONFIG, window=0.2), limits)
    for limit in limits:
        inside = [c for c in archive if 0.8 * limit <= c.more["used"] <= limit]
        assert len(inside) >= 16
    objectives = objectives_of(SPACE, CONFIG)
    assert (objectives.cost, objectives.unit) == ("used", "genes^2")
    for choice in choices(SPACE, archive, limits, objectives):
        assert choice["used"] <= choice["limit"]
        assert choice["madds"] > choice["limit"]
    costs = [c.more["used"] for c in front(archive, objectives)]
    assert costs == sorted(costs)
    assert 0 < hypervolume_share(SPACE, archive, objectives) <= 1


@pytest.mark.parametrize("cost", ["madds", "params", "used"])
def test_bounds_on_any_cost_hold(cost):
    values = np.asarray(SPACE.costs[cost](SPACE.sample(500, p_drop=0.6, seed=1)))
    low, high = np.quantile(values, [0.4, 0.6])
    bounds = (f"{cost}>={low}", f"{cost} <= {high}")
    archive = search(SearchConfig(population=8, generations=3, bounds=bounds))
    found = np.asarray(SPACE.costs[cost](np.stack([c.genotype for c in archive])))
    assert len(found) == 24
    assert ((found >= low) & (found <= high)).all()


def test_a_shorthand_and_a_bound_hold_both():
    config = SearchConfig(madds_max=2e6, bounds=("madds<=1.5e6", "madds>=1e6"))
    assert Bounds(SPACE, config).ends["madds"] == (1e6, 1.5e6)


def test_twins_are_alike_in_the_cost():
    own = SPACE.sample(1, p_drop=0.6, seed=3)[0]
    twins = random_twins(SPACE, SPACE.format(own), 5, seed=0, cost="used")
    assert len(twins) == 5
    assert {float(Used()(twin[None])[0]) for twin in twins} == {float(Used()(own[None])[0])}


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("madds<=1e6", ("madds", -np.inf, 1e6)),
        (" used >= 3 ", ("used", 3.0, np.inf)),
    ],
)
def test_a_bound_is_read(text, parsed):
    assert parse_bound(text) == parsed


@pytest.mark.parametrize("text", ["madds<3", "madds<=x", "<=3", "madds<=nan", "a b<=3", ""])
def test_what_is_no_bound_is_refused(text):
    with pytest.raises(ValueError, match=r"search\.bounds must read NAME<=NUMBER"):
        SearchConfig(bounds=(text,))


def test_unknown_costs_are_refused_by_name():
    for options in ({"cost": "heat"}, {"bounds": ("heat<=1",)}):
        with pytest.raises(ValueError, match="one of madds, params, used, got 'heat'"):
            Bounds(SPACE, SearchConfig(**options))


def test_a_cost_that_is_no_number_or_has_a_taken_name_is_refused():
    broken = replace(Used(), name="broken")

    class Broken(Used):
        def __call__(self, genotypes):
            return np.full(len(genotypes), np.nan)

    space = space_with(Broken(name="broken"))
    with pytest.raises(ValueError, match="the cost broken must be a finite number, got nan of st1"):
        finite(space, "broken", space.sample(2, p_drop=0.5, seed=0))
    with pytest.raises(ValueError, match="names of their own, got 'loss'"):
        further_costs(space_with(Used(name="loss")))
    assert further_costs(space_with(broken)) == ["broken"]


def test_the_largest_cost_is_above_what_is_drawn():
    assert largest(SPACE, "madds") >= SPACE.madds(SPACE.sample(100, p_drop=0.0, seed=5)).max()
    assert largest(SPACE, "used") >= 400
    assert Objectives("loss").points([]).shape == (0, 2)
