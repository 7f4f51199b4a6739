"""What the search minimises: a cost, and a measure of what candidates get wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stnas.config import SearchConfig
from stnas.config.search import Measure
from stnas.learn.evaluation import SIGN
from stnas.space import Genotype, SearchSpace


@dataclass(frozen=True, eq=False)
class Candidate:
    """An architecture that was evaluated."""

    genotype: Genotype
    madds: int
    params: int
    accuracy: float
    loss: float
    generation: int
    balanced_accuracy: float | None = None
    """None in an archive that was written without it."""
    more: Mapping[str, float] = field(default_factory=dict)
    """Further costs of the space, by their names."""


@dataclass(frozen=True)
class Objectives:
    """The objectives ``(cost, loss)`` or ``(cost, -accuracy)``, both minimised.

    cost, unit: name of a cost of the space, multiply-adds by default, and what it is counted in.
    by_loss: of candidates with one measure, the one with less loss is better, before the cost.
    """

    measure: Measure
    cost: str = "madds"
    unit: str = "MAdds"
    by_loss: bool = False

    def cost_of(self, candidate: Candidate) -> float:
        """Return what a candidate costs."""
        own: float | None = candidate.more.get(self.cost)
        return float(getattr(candidate, self.cost)) if own is None else own

    def value(self, candidate: Candidate) -> float:
        """Return what is minimised beside the cost."""
        return SIGN[self.measure] * float(getattr(candidate, self.measure))

    def points(self, candidates: list[Candidate]) -> NDArray[np.float64]:
        """Return the objectives of candidates, float64 ``[n, 2]``."""
        points = [[self.cost_of(c), self.value(c)] for c in candidates]
        return np.array(points, np.float64).reshape(-1, 2)

    def best(self, candidates: list[Candidate], count: int) -> list[Candidate]:
        """Return the ``count`` best by the measure, the cheaper and then the earlier on a tie."""

        def order(own: Candidate) -> tuple[float, float, float]:
            return self.value(own), own.loss if self.by_loss else 0.0, self.cost_of(own)

        return sorted(candidates, key=order)[:count]


def objectives_of(space: SearchSpace, config: SearchConfig) -> Objectives:
    """Return the objectives of a search."""
    unit = space.costs[config.cost].unit
    return Objectives(config.measure, config.cost, unit, by_loss=config.strategy != "nsga2")
