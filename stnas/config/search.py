"""Search for architectures."""

from dataclasses import dataclass
from typing import Literal

from stnas.config import rules

Scoring = Literal["param_avg", "score_avg", "single"]


@dataclass(frozen=True)
class SearchConfig:
    """How NSGA-II looks for architectures of few multiply-adds and high accuracy (section 3.4)."""

    score: Scoring = "param_avg"
    """Accuracy of a candidate: with the mean of the sampled weights (`param_avg`, eq. 11), as the
    mean over the samples (`score_avg`, eq. 10) or with the trained weights (`single`, eq. 6)."""
    bound: float = 0.0
    """Standard deviations over the samples that `score_avg` takes off the mean: candidates are
    ranked by a lower confidence bound, not by the mean."""
    population: int = 45
    """Architectures that survive a generation, and children of one."""
    generations: int = 22
    """Generations, the random first one counted."""
    crossover: float = 0.9
    """Probability that a child mixes two parents at one random gene."""
    mutation: float = 0.8
    """Probability that one gene of a child is drawn anew."""
    recalibration_images: int = 20000
    """Training images that the BN statistics of every candidate are computed on; all of the
    training split where it is smaller."""
    recalibration_batch: int = 256
    """Images a batch in recalibration. The statistics depend on it, and so do the scores; time
    is least at 256 (`benchmarks/batch_size.py`)."""
    evaluation_batch: int = 256
    """Images a batch in evaluation; time is least at 256 (`benchmarks/batch_size.py`)."""
    madds_min: float | None = None
    """Fewest multiply-adds of a candidate."""
    madds_max: float | None = None
    """Most multiply-adds of a candidate."""
    params_min: float | None = None
    """Fewest parameters of a candidate."""
    params_max: float | None = None
    """Most parameters of a candidate."""
    limits: tuple[float, ...] | None = None
    """Multiply-adds under which the best architecture is chosen, one choice a limit. Default: the
    mean of the sampler's MAdds less and plus one standard deviation."""

    def __post_init__(self) -> None:
        """Check the section."""
        rules.not_negative("search.bound", self.bound)
        if self.bound > 0:
            rules.require(
                self.score == "score_avg",
                "search.score",
                "score_avg with search.bound, the only one that has a spread",
                self.score,
            )
        rules.at_least("search.population", self.population, 2)
        rules.at_least("search.generations", self.generations, 1)
        rules.probability("search.crossover", self.crossover)
        rules.probability("search.mutation", self.mutation)
        rules.at_least("search.recalibration_images", self.recalibration_images, 2)
        rules.at_least("search.recalibration_batch", self.recalibration_batch, 2)
        rules.at_least("search.evaluation_batch", self.evaluation_batch, 1)
        rules.window("search.madds", self.madds_min, self.madds_max)
        rules.window("search.params", self.params_min, self.params_max)
        for limit in self.limits or ():
            rules.positive("search.limits", limit)
        if self.limits is not None:
            rules.require(len(self.limits) > 0, "search.limits", "one limit or more", self.limits)
            rules.require(
                len(set(self.limits)) == len(self.limits),
                "search.limits",
                "without repetition",
                self.limits,
            )
