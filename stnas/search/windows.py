"""Candidates for the windows below the limits: what is best there, varied and kept inside."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stnas.config import SearchConfig
from stnas.search.candidates import DRAW, PATIENCE, Bounds
from stnas.search.objectives import Candidate, Objectives
from stnas.search.variation import crossover, mutate
from stnas.space import Genotype, SearchSpace

PARENTS = 12
"""Candidates of a window that children are made of."""
STEPS = 32
"""Mutations that may bring a genotype into a window."""


@dataclass(frozen=True)
class Window:
    """The MAdds ``[low, limit]`` below a limit."""

    low: float
    limit: float

    def holds(self, madds: float) -> bool:
        """Tell whether MAdds lie inside."""
        return self.low <= madds <= self.limit

    def distance(self, madds: float) -> float:
        """Return how far MAdds lie outside; 0 inside."""
        return max(self.low - madds, madds - self.limit, 0.0)


def windows(config: SearchConfig, limits: list[float]) -> list[Window]:
    """Return the window below each limit: ``search.window`` of it wide."""
    return [Window((1 - config.window) * limit, limit) for limit in limits]


def parents(
    archive: list[Candidate], window: Window, objectives: Objectives, count: int = PARENTS
) -> list[Candidate]:
    """Return the best candidates of a window; where it has too few, those nearest to it."""
    best = objectives.best([c for c in archive if window.holds(c.madds)], count)
    outside = [c for c in archive if not window.holds(c.madds)]
    nearest = sorted(outside, key=lambda c: (window.distance(c.madds), objectives.value(c)))
    return best + nearest[: count - len(best)]


def steered(
    genotype: Genotype, window: Window, space: SearchSpace, rng: np.random.Generator
) -> Genotype:
    """Mutate a genotype until it is in a window, and take no step that leads away from it."""
    away = window.distance(int(space.madds(genotype[None])[0]))
    for _ in range(STEPS):
        if away == 0:
            break
        changed = mutate(genotype, space, rng)
        distance = window.distance(int(space.madds(changed[None])[0]))
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
        genotype = steered(genotype, window, bounds.space, rng)
        if bounds.hold(genotype[None])[0]:
            yield genotype


def samples(bounds: Bounds, window: Window, rng: np.random.Generator) -> Iterator[Genotype]:
    """Draw random architectures of a window's mean MAdds and steer them into it."""
    p_drop = bounds.space.nearest_p_drop((window.low + window.limit) / 2)
    drawn = bounds.space.sample(PATIENCE, p_drop=p_drop, seed=int(rng.integers(2**63)))
    for genotype in drawn:
        genotype = steered(genotype, window, bounds.space, rng)
        if bounds.hold(genotype[None])[0]:
            yield genotype


def ends(bounds: Bounds, rng: np.random.Generator) -> Iterator[Genotype]:
    """Yield the smallest of many architectures that are drawn small, and the largest of large."""
    for p_drop, last in ((1.0, 0), (0.0, -1)):
        drawn = bounds.space.sample(DRAW, p_drop=p_drop, seed=int(rng.integers(2**63)))
        drawn = drawn[bounds.hold(drawn)]
        if len(drawn):
            yield drawn[np.argsort(bounds.space.madds(drawn), kind="stable")[last]]
