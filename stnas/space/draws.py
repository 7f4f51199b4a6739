"""Draw genotypes by inversion of counter-based uniform numbers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stnas.space.genotype import Genotypes
from stnas.space.graph import Gene
from stnas.space.prior import check_p_drop, drop_probabilities


def generator(seed: int, *words: int) -> np.random.Generator:
    """Return the counter-based generator (Philox) of a seed and up to three counter words.

    Words are integers in [0, 2**64); different words give streams that do not overlap.
    """
    check_integer("seed", seed, least=0, below=2**64)
    counter = np.array([0, *words, *[0] * (3 - len(words))], np.uint64)
    key = np.array([seed, 0], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


class Choices:
    """Turns uniform numbers in [0, 1) ``[n, genes]`` into genotypes, int8 ``[n, genes]``."""

    def __init__(self, genes: Sequence[Gene], drop: NDArray[np.float64]) -> None:
        """Keep the probability of choice 0 of optional genes ``[genes]``; others are alike."""
        self.drop = drop
        self.optional = np.array([gene.optional for gene in genes])
        self.counts = np.array([gene.operations for gene in genes])
        self.kept = np.where(drop < 1, 1 - drop, 1.0)

    def __call__(self, uniform: NDArray[np.float64]) -> NDArray[np.int8]:
        """Return the genotype of each row, by inversion."""
        index = ((uniform - self.drop) / self.kept * self.counts).astype(np.int64)
        index = np.minimum(index, self.counts - 1)
        return np.where(uniform < self.drop, 0, index + self.optional).astype(np.int8)


def sample(genes: Sequence[Gene], n: int, *, p_drop: float, seed: int) -> Genotypes:
    """Draw ``n`` genotypes ``[n, genes]``: optional genes 0 with ``p_drop``, else uniform."""
    check_integer("n", n, least=0, below=2**40)
    choices = Choices(genes, drop_probabilities(genes, check_p_drop(p_drop)))
    return choices(generator(seed).random((n, len(genes))))


def check_integer(name: str, value: int, *, least: int, below: int) -> None:
    """Raise unless ``value`` is an integer in [least, below)."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an integer, got {value!r}: give a whole number")
    if not least <= value < below:
        raise ValueError(
            f"{name} must lie in [{least}, {below}), got {value}: choose an integer inside"
        )
