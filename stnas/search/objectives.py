"""What the search minimises: multiply-adds, and a measure of what candidates get wrong."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stnas.config.search import Measure
from stnas.learn.evaluation import SIGN
from stnas.space import Genotype


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


@dataclass(frozen=True)
class Objectives:
    """The objectives ``(MAdds, loss)`` or ``(MAdds, -accuracy)``, both minimised."""

    measure: Measure

    def value(self, candidate: Candidate) -> float:
        """Return what is minimised beside the MAdds."""
        return SIGN[self.measure] * float(getattr(candidate, self.measure))

    def points(self, candidates: list[Candidate]) -> NDArray[np.float64]:
        """Return the objectives of candidates, float64 ``[n, 2]``."""
        return np.array([[c.madds, self.value(c)] for c in candidates], np.float64).reshape(-1, 2)

    def best(self, candidates: list[Candidate], count: int) -> list[Candidate]:
        """Return the ``count`` best by the measure, the smaller and then the earlier on a tie."""
        return sorted(candidates, key=lambda c: (self.value(c), c.madds))[:count]
