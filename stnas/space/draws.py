"""Draw genotypes by inversion of counter-based uniform numbers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stnas.space.cost import check_p_drop
from stnas.space.graph import Edge


def generator(seed: int, *words: int) -> np.random.Generator:
    """Return the counter-based generator (Philox) of a seed and up to three counter words.

    Words are integers in [0, 2**64); different words give streams that do not overlap.
    """
    check_integer("seed", seed, least=0, below=2**64)
    counter = np.array([0, *words, *[0] * (3 - len(words))], np.uint64)
    key = np.array([seed, 0], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def drop_probabilities(edges: Sequence[Edge], p_drop: float) -> NDArray[np.float64]:
    """Return the probability of none ``[genes]``: ``p_drop`` on branch edges, 0 on stem edges."""
    return np.array([p_drop if edge.kind == "branch" else 0.0 for edge in edges])


class Choices:
    """Turns uniform numbers in [0, 1) ``[n, genes]`` into genotypes, int8 ``[n, genes]``."""

    def __init__(self, edges: Sequence[Edge], drop: NDArray[np.float64]) -> None:
        """Keep the probability of none ``[genes]``: 0 on stem edges; other choices are alike."""
        self.drop = drop
        self.branch = np.array([edge.kind == "branch" for edge in edges])
        self.counts = np.array([len(edge.operations) for edge in edges])
        self.kept = np.where(drop < 1, 1 - drop, 1.0)

    def __call__(self, uniform: NDArray[np.float64]) -> NDArray[np.int8]:
        """Return the genotype of each row, by inversion."""
        index = ((uniform - self.drop) / self.kept * self.counts).astype(np.int64)
        index = np.minimum(index, self.counts - 1)
        return np.where(uniform < self.drop, 0, index + self.branch).astype(np.int8)


def sample(edges: Sequence[Edge], n: int, *, p_drop: float, seed: int) -> NDArray[np.int8]:
    """Draw ``n`` genotypes ``[n, genes]``: stem uniform, branch none with ``p_drop``."""
    check_integer("n", n, least=0, below=2**40)
    choices = Choices(edges, drop_probabilities(edges, check_p_drop(p_drop)))
    return choices(generator(seed).random((n, len(edges))))


def check_integer(name: str, value: int, *, least: int, below: int) -> None:
    """Raise unless ``value`` is an integer in [least, below)."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an integer, got {value!r}: give a whole number")
    if not least <= value < below:
        raise ValueError(
            f"{name} must lie in [{least}, {below}), got {value}: choose an integer inside"
        )
