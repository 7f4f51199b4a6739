"""NSGA-II (Deb et al. 2002) over genotypes: tournament, crossover, mutation, survival."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stnas.config import SearchConfig
from stnas.group.streams import numpy_generator
from stnas.ops import crowding_distance, nondominated_sort
from stnas.search.candidates import Archive, Bounds, feasible_samples
from stnas.space import Genotype, SearchSpace

PATIENCE = 1000
"""Known networks in a row after which a source of proposals is left."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """An architecture that was evaluated."""

    genotype: Genotype
    madds: int
    params: int
    accuracy: float
    loss: float
    generation: int


Evaluate = Callable[[list[Genotype], int], list[Candidate]]
"""Evaluates the genotypes of a generation together, in order."""


def objectives(candidates: list[Candidate]) -> NDArray[np.float64]:
    """Return what is minimised, ``(MAdds, -accuracy)``, float64 ``[n, 2]``."""
    madds = np.array([c.madds for c in candidates], np.float64)
    return np.stack((madds, [-c.accuracy for c in candidates]), axis=1)


def fitness(candidates: list[Candidate]) -> NDArray[np.float64]:
    """Return the key of the crowded comparison, smaller is better: rank, then -crowding.

    float64 ``[n, 2]``; the crowding distance is taken within each front (Deb et al. 2002, III-B).
    """
    points = objectives(candidates)
    ranks = nondominated_sort(points)
    crowding = np.empty(len(points))
    for rank in np.unique(ranks):
        members = ranks == rank
        crowding[members] = crowding_distance(points[members])
    return np.stack((ranks.astype(np.float64), -crowding), axis=1)


def front(candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates that none dominates, by rising MAdds, equal points once."""
    ranks = nondominated_sort(objectives(candidates))
    best = [c for c, rank in zip(candidates, ranks, strict=True) if rank == 0]
    return list({(c.madds, c.accuracy): c for c in sorted(best, key=lambda c: c.madds)}.values())


def survivors(candidates: list[Candidate], size: int) -> list[Candidate]:
    """Keep the ``size`` best of parents and children; ties keep the older."""
    key = fitness(candidates)
    order = np.lexsort((np.arange(len(candidates)), key[:, 1], key[:, 0]))
    return [candidates[i] for i in order[:size]]


def tournament(key: NDArray[np.float64], rng: np.random.Generator) -> int:
    """Draw two individuals and return the better one's index."""
    first, second = rng.integers(len(key), size=2)
    return int(first if tuple(key[first]) <= tuple(key[second]) else second)


def crossover(first: Genotype, second: Genotype, rng: np.random.Generator) -> Genotype:
    """Join the first genes of one parent and the rest of the other at a random gene."""
    point = int(rng.integers(1, len(first))) if len(first) > 1 else 0
    return np.concatenate((first[:point], second[point:]))


def mutate(genotype: Genotype, space: SearchSpace, rng: np.random.Generator) -> Genotype:
    """Change one random gene, of those that have a choice, to another of its choices."""
    genes = np.flatnonzero(space.choice_counts > 1)
    changed = genotype.copy()
    if len(genes):
        gene = genes[rng.integers(len(genes))]
        count = int(space.choice_counts[gene])
        changed[gene] = (int(genotype[gene]) + int(rng.integers(1, count))) % count
    return changed


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


def offspring(
    parents: list[Candidate],
    *,
    bounds: Bounds,
    config: SearchConfig,
    rng: np.random.Generator,
) -> Iterator[Genotype]:
    """Make children inside the bounds, out of PATIENCE tries for each one that is wanted."""
    key = fitness(parents)
    for _ in range(PATIENCE * config.population):
        genotype = child(parents, key, space=bounds.space, config=config, rng=rng)
        if bounds.hold(genotype[None])[0]:
            yield genotype


def evolve(
    bounds: Bounds,
    config: SearchConfig,
    *,
    p_drop: float,
    seed: int,
    evaluate: Evaluate,
    report: Callable[[int, list[Candidate]], None],
) -> list[Candidate]:
    """Search and return every architecture that was evaluated, in order.

    Each generation is a function of (seed, generation) and of the scores before it, so that
    known scores replay an interrupted search. No network is evaluated twice. report: called with
    each generation and the archive after it.
    """
    seen = Archive(bounds.space)
    archive: list[Candidate] = []
    parents: list[Candidate] = []
    for generation in range(config.generations):
        rng = numpy_generator(seed, "search", generation)
        sources = [feasible_samples(bounds, p_drop=p_drop, rng=rng)]
        if parents:
            sources.insert(0, offspring(parents, bounds=bounds, config=config, rng=rng))
        genotypes = unseen(sources, seen, config.population)
        children = evaluate(genotypes, generation)
        if not archive and not children:
            raise ValueError(
                "search.madds and search.params must leave an architecture that sampling finds: "
                f"none of the random ones lies in MAdds {bounds.madds}, parameters "
                f"{bounds.params}: widen the windows"
            )
        archive += children
        parents = survivors([*parents, *children], config.population)
        report(generation, archive)
    return archive


def unseen(sources: list[Iterator[Genotype]], seen: Archive, count: int) -> list[Genotype]:
    """Take up to ``count`` networks that were not proposed before, from the first source that has
    any left.
    """
    taken: list[Genotype] = []
    for source in sources:
        known = 0
        while len(taken) < count and known < PATIENCE:
            genotype = next(source, None)
            if genotype is None:
                break
            new = seen.add(genotype)
            known = 0 if new else known + 1
            taken += [genotype] if new else []
    return taken
