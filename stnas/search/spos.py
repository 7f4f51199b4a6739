"""The evolution of SPOS (Guo et al. 2020, Algorithm 1), and random search: one measure, bounds.

With several limits the population is shared out among them, and each share has an elite of its
own; with one it is the authors' search.
"""

from collections.abc import Callable, Iterator

import numpy as np

from stnas.config import SearchConfig
from stnas.group.streams import numpy_generator
from stnas.search.candidates import Archive, Bounds, feasible_samples, unseen
from stnas.search.nsga2 import nothing_found, spread
from stnas.search.objectives import Candidate, objectives_of
from stnas.space import Genotype, SearchSpace

TRIES = 10
"""Children that are made at most for each one that is wanted."""


class EliteEvolution:
    """A search by mutants and crossings of the best networks of all that were evaluated.

    limits: of the cost; a network of a share costs no more than its limit. parents: the best so
    many of a share; 0: all networks are random.
    """

    def __init__(
        self,
        bounds: Bounds,
        config: SearchConfig,
        limits: list[float],
        *,
        p_drop: float,
        parents: int,
    ) -> None:
        self.bounds, self.config, self.p_drop, self.parents = bounds, config, p_drop, parents
        self.limits = limits
        self.objectives = objectives_of(bounds.space, config)
        self.seen = Archive(bounds.space)
        self.archive: list[Candidate] = []

    def proposed(self, generation: int, seed: int) -> list[Genotype]:
        """Propose a generation of networks that were not proposed before.

        A function of (seed, generation, what was evaluated before).
        """
        found: list[Genotype] = []
        shares = spread(self.config.population, len(self.limits))
        for place, (limit, share) in enumerate(zip(self.limits, shares, strict=True)):
            rng = numpy_generator(seed, "elite", generation, place)
            bounds = self.bounds.narrowed(-np.inf, limit)
            own = self.children(bounds, limit, share, rng)
            random = feasible_samples(bounds, p_drop=self.p_drop, rng=rng)
            found += own + unseen([random], self.seen, share - len(own))
        return found

    def children(
        self, bounds: Bounds, limit: float, share: int, rng: np.random.Generator
    ) -> list[Genotype]:
        """Make half a share of mutants of the elite and half of crossings, as far as tries go."""
        inside = [own for own in self.archive if self.objectives.cost_of(own) <= limit]
        elite = [own.genotype for own in self.objectives.best(inside, self.parents)]
        if not elite:
            return []
        mutants = share // 2
        chance = self.config.gene_mutation

        def mutant() -> Genotype:
            return redrawn(parent(elite, rng), bounds.space, chance, rng)

        def crossing() -> Genotype:
            return mixed(parent(elite, rng), parent(elite, rng), rng)

        found = unseen([tried(mutant, bounds, mutants)], self.seen, mutants)
        return found + unseen(
            [tried(crossing, bounds, share - mutants)], self.seen, share - mutants
        )

    def add_(self, children: list[Candidate]) -> None:
        """Take over what a generation was evaluated to."""
        if not self.archive and not children:
            raise nothing_found(self.bounds)
        self.archive += children


def tried(make: Callable[[], Genotype], bounds: Bounds, count: int) -> Iterator[Genotype]:
    """Yield children inside the bounds, of TRIES times as many as are wanted."""
    for _ in range(TRIES * count):
        genotype = make()
        if bounds.hold(genotype[None])[0]:
            yield genotype


def parent(elite: list[Genotype], rng: np.random.Generator) -> Genotype:
    """Draw one of the elite."""
    return elite[int(rng.integers(len(elite)))]


def redrawn(
    genotype: Genotype, space: SearchSpace, chance: float, rng: np.random.Generator
) -> Genotype:
    """Draw each gene anew with a chance, from all of its choices: it may stay what it was."""
    changed = rng.random(len(genotype)) < chance
    drawn = rng.integers(0, space.choice_counts).astype(np.int8)
    return np.where(changed, drawn, genotype)


def mixed(first: Genotype, second: Genotype, rng: np.random.Generator) -> Genotype:
    """Take each gene from either parent, with probability 1/2."""
    return np.where(rng.random(len(first)) < 0.5, first, second)
