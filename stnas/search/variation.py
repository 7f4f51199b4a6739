"""How genotypes are varied: one point crossover, and mutation of one gene."""

import numpy as np

from stnas.space import Genotype, SearchSpace


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
