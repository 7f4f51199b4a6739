"""Candidates for the windows below the limits: what is best there, varied and kept inside."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stnas.config import SearchConfig
from stnas.search.candidates import DRAW, PATIENCE, Bounds
from stnas.search.objectives import Candidate, Objectives
from stnas.search.variation import crossover, mutate
from stnas.space import Genotype

PARENTS = 12
"""Candidates of a window that children are made of."""
STEPS = 32
"""Mutations that may bring a genotype into a window."""


@dataclass(frozen=True)
class Window:
    """The costs ``[low, limit]`` below a limit."""

    low: float
    limit: float

    def holds(self, cost: float) -> bool:
        """Tell whether a cost lies inside."""
        return self.low <= cost <= self.limit

    def distance(self, cost: float) -> float:
        """Return how far a cost lies outside; 0 inside."""
        return max(self.low - cost, cost - self.limit, 0.0)


def windows(config: SearchConfig, limits: list[float]) -> list[Window]:
    """Return the window below each limit: ``search.window`` of it wide."""
    return [Window((1 - config.window) * limit, limit) for limit in limits]


def parents(
    archive: list[Candidate], window: Window, objectives: Objectives, count: int = PARENTS
) -> list[Candidate]:
    """Return the best candidates of a window; where it has too few, those nearest to it."""
    cost = objectives.cost_of
    best = objectives.best([c for c in archive if window.holds(cost(c))], count)
    outside = [c for c in archive if not window.holds(cost(c))]
    nearest = sorted(outside, key=lambda c: (window.distance(cost(c)), objectives.value(c)))
    return best + nearest[: count - len(best)]


def steered(
    genotype: Genotype, window: Window, bounds: Bounds, rng: np.random.Generator
) -> Genotype:
    """Mutate a genotype until it is in a window, and take no step that leads away from it."""
    away = window.distance(float(bounds.cost(genotype[None])[0]))
    for _ in range(STEPS):
        if away == 0:
            break
        changed = mutate(genotype, bounds.space, rng)
        distance = window.distance(float(bounds.cost(changed[None])[0]))
        if distance <= away:
            genotype, away = changed, distance
    return genotype


def children(
    bounds: Bounds,
    known: list[Candidate],
    window: Window,
    config: SearchConfig,
    rng: np.random.Generator,
) -> Iterator[Genotype]:
    """Make children of a window's parents, the best first, and steer them into the window.

    Of two that are drawn the better one is a parent. bounds: those of the window.
    """
    for _ in range(PATIENCE):
        first, second = rng.integers(len(known), size=(2, 2)).min(axis=1).tolist()
        genotype = known[first].genotype
        if rng.random() < config.crossover:
            genotype = crossover(genotype, known[second].genotype, rng)
        if rng.random() < config.mutation:
            genotype = mutate(genotype, bounds.space, rng)
        genotype = steered(genotype, window, bounds, rng)
        if bounds.hold(genotype[None])[0]:
            yield genotype


def samples(bounds: Bounds, window: Window, rng: np.random.Generator) -> Iterator[Genotype]:
    """Draw random architectures of a window's mean cost and steer them into it."""
    p_drop = bounds.aimed_p_drop((window.low + window.limit) / 2)
    drawn = bounds.space.sample(PATIENCE, p_drop=p_drop, seed=int(rng.integers(2**63)))
    for genotype in drawn:
        genotype = steered(genotype, window, bounds, rng)
        if bounds.hold(genotype[None])[0]:
            yield genotype


def ends(bounds: Bounds, rng: np.random.Generator) -> Iterator[Genotype]:
    """Yield the cheapest of many architectures that are drawn small, and the dearest of large."""
    for p_drop, last in ((1.0, 0), (0.0, -1)):
        drawn = bounds.space.sample(DRAW, p_drop=p_drop, seed=int(rng.integers(2**63)))
        drawn = drawn[bounds.hold(drawn)]
        if len(drawn):
            yield drawn[np.argsort(bounds.cost(drawn), kind="stable")[last]]
