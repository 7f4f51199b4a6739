"""Draw a range of costs, then a network uniformly among all whose cost lies in it."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnas.space.cost import AdditiveCost
from stnas.space.draws import check_integer, generator

BINS = 4
"""First counter word of these draws, which keeps them apart from other samplers'."""
MOST = 2**22
"""Different costs of a chain's end, above which counting them takes too long."""


class Suffixes:
    """How many ends of a chain, from a gene on, cost less than a bound: all are counted.

    costs: the different costs of the ends, rising. below: for each, how many ends cost less; one
    entry more holds the number of all. Numbers of Python, which have no largest.
    """

    def __init__(self, costs: NDArray[np.int64], counts: Sequence[int]) -> None:
        self.costs = costs.tolist()
        self.below = [0]
        for count in counts:
            self.below.append(self.below[-1] + count)

    def less(self, bound: float) -> int:
        """Return how many ends cost less than a bound."""
        return self.below[bisect_left(self.costs, bound)]


def suffixes(rows: Sequence[NDArray[np.int64]]) -> list[Suffixes]:
    """Count the ends behind each gene, by the recursion ``n_g(c) = sum_k n_(g+1)(c - cost_gk)``.

    rows: the costs of each gene's choices. The first is of all genes, the last of none.
    """
    costs, counts = np.zeros(1, np.int64), np.ones(1, object)
    found = [Suffixes(costs, counts.tolist())]
    for row in reversed(rows):
        sums = (costs[:, None] + row[None, :]).reshape(-1)
        if len(sums) > 8 * MOST:
            raise ValueError(
                f"train.sampling bins must count the different costs of a space, got more than"
                f" {MOST:,}: use --train.sampling tilted, or fewer space.stages"
            )
        each = np.broadcast_to(counts[:, None], (len(counts), len(row))).reshape(-1)
        costs, place = np.unique(sums, return_inverse=True)
        counts = np.zeros(len(costs), object)
        np.add.at(counts, place.reshape(-1), each)
        found.append(Suffixes(costs, counts.tolist()))
    return found[::-1]


class ExactBinSampler:
    """Draw a bin uniformly, then one of its networks uniformly, by counting and never by trial.

    bounds: costs that the bins lie between; a bin holds its lower end, the last one both. After
    Guo et al. 2020, whose code draws up to 500 networks and then takes any.
    """

    def __init__(self, cost: AdditiveCost, bounds: Sequence[float], *, seed: int) -> None:
        """Count all ends of the chain; raise ValueError for a bin that holds no network."""
        assert not cost.joints
        self.seed, self.rows = seed, [row.tolist() for row in cost.rows()]
        self.ends = suffixes(cost.rows())
        highs = [*bounds[1:-1], np.nextafter(bounds[-1], np.inf)]
        self.bins = [
            (low - cost.fixed, high - cost.fixed)
            for low, high in zip(bounds[:-1], highs, strict=True)
        ]
        for index, (low, high) in enumerate(self.bins):
            if self.ends[0].less(high) == self.ends[0].less(low):
                raise ValueError(
                    f"train.madds_bins must each hold networks, got none in"
                    f" [{bounds[index]:,.0f}, {bounds[index + 1]:,.0f}] where the space reaches"
                    f" {cost.least:,} to {cost.most:,}: move or widen them"
                )

    def genotype(self, step: int) -> NDArray[np.int8]:
        """Return the genotype of a step."""
        check_integer("step", step, least=0, below=2**63)
        stream = generator(self.seed, BINS, step)
        low, high = self.bins[int(stream.integers(len(self.bins)))]
        number = below(self.ends[0].less(high) - self.ends[0].less(low), stream)
        genes: list[int] = []
        for row, ends in zip(self.rows, self.ends[1:], strict=True):
            counts = [ends.less(high - own) - ends.less(low - own) for own in row]
            choice = 0
            while number >= counts[choice]:
                number -= counts[choice]
                choice += 1
            genes.append(choice)
            low, high = low - row[choice], high - row[choice]
        return np.array(genes, np.int8)


def below(count: int, stream: np.random.Generator) -> int:
    """Draw an integer in [0, count) uniformly, however large the count."""
    bits = count.bit_length()
    while True:
        words: Any = stream.integers(0, 2**32, -(-bits // 32), np.uint64)
        number = sum(int(word) << (32 * place) for place, word in enumerate(words))
        number >>= -bits % 32
        if number < count:
            return number
