"""Draw genotypes by inversion of counter-based uniform numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stnas.space.genotype import Genotypes
from stnas.space.graph import Gene
from stnas.space.prior import (
    check_p_drop,
    choice_probabilities,
    drop_probabilities,
    solve_p_drop,
)

Chooser = Callable[[NDArray[np.float64]], NDArray[np.int8]]
"""Turns uniform numbers in [0, 1) ``[n, genes]`` into genotypes, int8 ``[n, genes]``."""


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


class Prior(Protocol):
    """How random architectures of a space are drawn: a number p_drop in [0, 1] aims them.

    The more of it, the fewer multiply-adds; genes are independent of each other.
    """

    def usual(self, p_drop: float) -> float:
        """Return the p_drop that training has which is not aimed; p_drop: the configured one."""
        ...

    def chances(self, genes: Sequence[Gene], p_drop: float) -> list[NDArray[np.float64]]:
        """Return the probability of each choice of each gene."""
        ...

    def chooser(self, genes: Sequence[Gene], p_drop: float) -> Chooser:
        """Return what turns uniform numbers into genotypes."""
        ...

    def solve(self, madds: float, expected: Callable[[float], float]) -> float:
        """Return the p_drop whose expected MAdds are ``madds``; expected: those of a p_drop."""
        ...


@dataclass(frozen=True)
class Dropping:
    """Optional genes leave something out with p_drop, and all other choices are alike."""

    def usual(self, p_drop: float) -> float:
        """Return the configured p_drop."""
        return p_drop

    def chances(self, genes: Sequence[Gene], p_drop: float) -> list[NDArray[np.float64]]:
        """Return the probability of each choice of each gene."""
        return [choice_probabilities(gene, p_drop) for gene in genes]

    def chooser(self, genes: Sequence[Gene], p_drop: float) -> Chooser:
        """Return what turns uniform numbers into genotypes."""
        return Choices(genes, drop_probabilities(genes, p_drop))

    def solve(self, madds: float, expected: Callable[[float], float]) -> float:
        """Return the p_drop whose expected MAdds are ``madds``, which are affine in it."""
        return solve_p_drop(madds, at_zero=expected(0.0), at_one=expected(1.0))


DROPPING = Dropping()


def sample(
    genes: Sequence[Gene], n: int, *, p_drop: float, seed: int, prior: Prior = DROPPING
) -> Genotypes:
    """Draw ``n`` genotypes ``[n, genes]`` of a prior."""
    check_integer("n", n, least=0, below=2**40)
    choose = prior.chooser(genes, check_p_drop(p_drop))
    return choose(generator(seed).random((n, len(genes))))


def check_integer(name: str, value: int, *, least: int, below: int) -> None:
    """Raise unless ``value`` is an integer in [least, below)."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an integer, got {value!r}: give a whole number")
    if not least <= value < below:
        raise ValueError(
            f"{name} must lie in [{least}, {below}), got {value}: choose an integer inside"
        )
