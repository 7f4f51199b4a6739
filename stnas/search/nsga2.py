"""NSGA-II (Deb et al. 2002) over genotypes: tournament, crossover, mutation, survival."""

from collections.abc import Iterator
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from stnas.config import SearchConfig
from stnas.group.streams import numpy_generator
from stnas.ops import crowding_distance, nondominated_sort
from stnas.search.candidates import PATIENCE, Archive, Bounds, feasible_samples, unseen
from stnas.search.exploration import Evaluate, Report, explore
from stnas.search.objectives import Candidate, Objectives, objectives_of
from stnas.search.variation import crossover, mutate
from stnas.search.windows import Window, children, ends, parents, samples
from stnas.space import Genotype, SearchSpace


def fitness(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the key of the crowded comparison, smaller is better: rank, then -crowding.

    points: objectives ``[n, 2]``. float64 ``[n, 2]``; the crowding distance is taken within each
    front, so that a front's ends come first in it (Deb et al. 2002, III-B).
    """
    ranks = nondominated_sort(points)
    crowding = np.empty(len(points))
    for rank in np.unique(ranks):
        members = ranks == rank
        crowding[members] = crowding_distance(points[members])
    return np.stack((ranks.astype(np.float64), -crowding), axis=1)


def front(candidates: list[Candidate], objectives: Objectives) -> list[Candidate]:
    """Return the candidates that none dominates, by rising MAdds, equal points once."""
    points = objectives.points(candidates)
    pairs = zip(candidates, nondominated_sort(points), points.tolist(), strict=True)
    best = sorted(((tuple(point), c) for c, rank, point in pairs if rank == 0), key=itemgetter(0))
    return list(dict(best).values())


def survivors(candidates: list[Candidate], size: int, objectives: Objectives) -> list[Candidate]:
    """Keep the ``size`` best of parents and children; ties keep the older."""
    key = fitness(objectives.points(candidates))
    order = np.lexsort((np.arange(len(candidates)), key[:, 1], key[:, 0]))
    return [candidates[i] for i in order[:size]]


def tournament(key: NDArray[np.float64], rng: np.random.Generator) -> int:
    """Draw two individuals and return the better one's index."""
    first, second = rng.integers(len(key), size=2)
    return int(first if tuple(key[first]) <= tuple(key[second]) else second)


def child(
    parents: list[Candidate],
    key: NDArray[np.float64],
    *,
    space: SearchSpace,
    config: SearchConfig,
    rng: np.random.Generator,
) -> Genotype:
    """Make one child of parents that won a binary tournament."""
    genotype = parents[tournament(key, rng)].genotype
    if rng.random() < config.crossover:
        genotype = crossover(genotype, parents[tournament(key, rng)].genotype, rng)
    if rng.random() < config.mutation:
        genotype = mutate(genotype, space, rng)
    return genotype


def spread(count: int, places: int) -> list[int]:
    """Share a count out evenly, the rest to the first."""
    return [len(range(place, count, places)) for place in range(places)]


def nothing_found(bounds: Bounds) -> ValueError:
    """Make the error for bounds inside which no random architecture lies."""
    return ValueError(
        "search.madds and search.params must leave an architecture that sampling finds: "
        f"none of the random ones lies in {bounds.told()}: widen the windows"
    )


class Evolution:
    """A search: what it has evaluated, its parents, and how it makes the next generation.

    windows: below the limits, which ``config.aimed`` of a generation is made for.
    """

    def __init__(
        self, bounds: Bounds, config: SearchConfig, windows: list[Window], *, p_drop: float
    ) -> None:
        self.bounds, self.config, self.p_drop = bounds, config, p_drop
        self.objectives = objectives_of(bounds.space, config)
        self.windows = list(windows) if config.aimed else []
        self.seen = Archive(bounds.space)
        self.archive: list[Candidate] = []
        self.parents: list[Candidate] = []

    def proposed(self, generation: int, seed: int) -> list[Genotype]:
        """Propose a generation of networks that were not proposed before."""
        size = self.config.population
        genotypes = self.aimed(round(self.config.aimed * size), generation, seed)
        rng = numpy_generator(seed, "search", generation)
        sources = [feasible_samples(self.bounds, p_drop=self.p_drop, rng=rng)]
        if self.parents:
            sources.insert(0, self.offspring(rng))
        return genotypes + unseen(sources, self.seen, size - len(genotypes))

    def aimed(self, count: int, generation: int, seed: int) -> list[Genotype]:
        """Propose about ``count`` networks for the windows, and at first the ends of the space."""
        rng = numpy_generator(seed, "windows", generation)
        found: list[Genotype] = []
        shares = zip(list(self.windows), spread(count, len(self.windows)), strict=True)
        for window, share in shares:
            bounds = self.bounds.narrowed(window.low, window.limit)
            sources = [samples(bounds, window, rng)]
            if self.archive:
                known = parents(self.archive, window, self.objectives)
                sources.insert(0, children(bounds, known, window, self.config, rng))
            own = unseen(sources, self.seen, share)
            if share and not own:  # It holds none, or none that is not known.
                self.windows.remove(window)
            found += own
        if found and not self.archive:
            found += unseen([ends(self.bounds, rng)], self.seen, self.config.population - count)
        return found

    def offspring(self, rng: np.random.Generator) -> Iterator[Genotype]:
        """Make children inside the bounds, out of PATIENCE tries for each one that is wanted."""
        key = fitness(self.objectives.points(self.parents))
        space = self.bounds.space
        for _ in range(PATIENCE * self.config.population):
            genotype = child(self.parents, key, space=space, config=self.config, rng=rng)
            if self.bounds.hold(genotype[None])[0]:
                yield genotype

    def add_(self, children: list[Candidate]) -> None:
        """Take over what a generation was evaluated to."""
        if not self.archive and not children:
            raise nothing_found(self.bounds)
        self.archive += children
        known = [*self.parents, *children]
        self.parents = survivors(known, self.config.population, self.objectives)


def evolve(
    bounds: Bounds,
    config: SearchConfig,
    windows: list[Window],
    *,
    p_drop: float,
    seed: int,
    evaluate: Evaluate,
    report: Report,
) -> list[Candidate]:
    """Search and return every architecture that was evaluated, as ``explore`` says."""
    evolution = Evolution(bounds, config, windows, p_drop=p_drop)
    return explore(evolution, config.generations, seed=seed, evaluate=evaluate, report=report)
