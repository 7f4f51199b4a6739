"""What a search by gradients needs to know of a space of cells."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stnas.config.sharing import Level
from stnas.space.cells.sharing import Mixed, computed
from stnas.space.genotype import Genotype


@dataclass(frozen=True, eq=False)
class Mixture:
    """The edges that mix their candidates, and the cell that their weights stand for.

    choices: names of the candidates of every edge. rows: number of rows of the architecture
    parameters alpha ``[rows, choices]``. derive: makes the genotype of weights of that shape.
    fixed: multiply-adds of all that is not mixed. names: of the operations of a cell. parts: of the
    channels, of which the candidates get the first.
    """

    choices: tuple[str, ...]
    rows: int
    edges: tuple[Mixed, ...]
    derive: Callable[[NDArray[np.float64]], Genotype]
    fixed: int
    levels: tuple[Level, ...]
    names: Callable[[Genotype], list[str]]
    parts: int = 1

    def madds(self, level: Level) -> int:
        """Return the multiply-adds of a pass through the hyper-network."""
        return self.fixed + sum(module.madds for module in computed(self.edges, level))

    def count(self, genotype: Genotype) -> Counter[str]:
        """Count the operations of a cell by their names."""
        return Counter(self.names(genotype))

    def convolutions(self, genotype: Genotype) -> int:
        """Count the operations of a cell that have weights."""
        return sum(name in self.kernels for name in self.names(genotype))

    @cached_property
    def entering(self) -> tuple[tuple[int, ...], ...]:
        """Return the rows of alpha whose edges enter a node together, each row once."""
        found: dict[int, list[int]] = {}
        for edge in self.edges:
            found.setdefault(edge.target, []).append(edge.row)
        return tuple(dict.fromkeys(map(tuple, found.values())))

    @cached_property
    def kernels(self) -> frozenset[str]:
        """Return the names of the operations that have weights."""
        return frozenset(
            name
            for edge in self.edges
            for name, modules in zip(self.choices, edge.sequences, strict=True)
            if any(module.has_kernel for module in modules or ())
        )
