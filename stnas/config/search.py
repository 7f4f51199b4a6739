"""Search for architectures."""

import math
import re
from dataclasses import dataclass
from typing import Literal, get_args

from stnas.config import rules

Scoring = Literal["param_avg", "score_avg", "single"]
Measure = Literal["loss", "accuracy", "balanced_accuracy"]
Strategy = Literal["nsga2", "spos", "random", "derived"]
BOUND = re.compile(r"\s*([A-Za-z_]\w*)\s*([<>])=\s*(\S+)\s*")


def parse_bound(text: str) -> tuple[str, float, float]:
    """Read ``NAME<=NUMBER`` or ``NAME>=NUMBER`` as a name and the ends of what it may be."""
    found = BOUND.fullmatch(text)
    try:
        number = float(found[3]) if found else math.nan
    except ValueError:
        number = math.nan
    if found is None or math.isnan(number):
        raise ValueError(
            f"search.bounds must read NAME<=NUMBER or NAME>=NUMBER, got {text!r}: name a cost of "
            "the space, such as madds<=1e6"
        )
    return (found[1], -math.inf, number) if found[2] == "<" else (found[1], number, math.inf)


@dataclass(frozen=True)
class SearchConfig:
    """How architectures of few multiply-adds and little loss are looked for (section 3.4)."""

    strategy: Strategy = "nsga2"
    """What makes a generation: `nsga2`, over measure and cost; `spos`, the evolution of Single Path
    One-Shot, which looks for the best measure under each limit; `random`, whose networks are
    random ones under the limits; or `derived`, the cell that a search by gradients came to."""
    measure: Measure = "loss"
    """What is held against multiply-adds, orders the candidates and makes the choice: the `loss`
    (mean cross entropy) on held-out images, the `accuracy`, which ranks less well
    (docs/ranking.md), or the `balanced_accuracy`, in which every class counts alike."""
    cost: str = "madds"
    """What is minimised beside the measure, and what `search.limits` limit: `madds`, `params`, or a
    cost that the space was given (`examples/own_cost.py`)."""
    latency: str | None = None
    """File of `stnas latency`, which gives the space the cost `latency`, in nanoseconds of a
    batch: `--search.cost latency`, `--search.limits [90e3]`, `--search.bounds [latency<=1e5]`."""
    score: Scoring = "param_avg"
    """Weights that a candidate is measured with: the mean of the samples (`param_avg`, eq. 11),
    each in turn (`score_avg`, the mean of eq. 10), or the trained ones (`single`, eq. 6)."""
    bound: float = 0.0
    """Standard deviations over the samples that `score_avg` takes off the mean: candidates are
    ranked by a lower confidence bound, not by the mean."""
    population: int = 45
    """Architectures that survive a generation, and children of one; `spos` and `random` share them
    out among the limits."""
    generations: int = 22
    """Generations, the random first one counted."""
    aimed: float = 0.5
    """Share of a generation that is made for the windows below `search.limits`, of the best that
    is known there; NSGA-II makes the rest."""
    window: float = 0.1
    """Width of the window below a limit, as a share of it."""
    random: int | None = None
    """Random architectures that are scored, too, to print their hypervolume beside the search's;
    default: as many as the search evaluates."""
    crossover: float = 0.9
    """Probability that a child of NSGA-II mixes two parents at one random gene."""
    mutation: float = 0.8
    """Probability that one gene of a child of NSGA-II is drawn anew."""
    elite: int = 10
    """Best architectures of all evaluated ones that are parents in the strategy `spos`, for each
    limit. Half of the children are mutants, half are mixed of two parents gene by gene."""
    gene_mutation: float = 0.1
    """Probability that a gene of a mutant is drawn anew in the strategy `spos`."""
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
    bitops_max: float | None = None
    """Most operations on bits of a candidate, in the family quant."""
    bounds: tuple[str, ...] = ()
    """Bounds on any cost of the space, each `NAME<=NUMBER` or `NAME>=NUMBER`."""
    limits: tuple[float, ...] | None = None
    """Multiply-adds, or whatever `search.cost` is, under which the best architecture is chosen, one
    choice a limit. Default: those of `search.limit_shares`."""
    limit_shares: tuple[float, ...] | None = None
    """Limits as shares of the range of the cost, whatever the size of the images: 0.25 is a quarter
    of the way from the smallest architecture of the space to the largest. Default: the mean of the
    sampler's less and plus one standard deviation."""

    def __post_init__(self) -> None:
        """Check the section."""
        rules.one_of("search.measure", self.measure, get_args(Measure))
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
        rules.probability("search.aimed", self.aimed)
        rules.require(0 < self.window <= 1, "search.window", "in (0, 1]", self.window)
        if self.random is not None:
            rules.at_least("search.random", self.random, 0)
        rules.one_of("search.strategy", self.strategy, get_args(Strategy))
        rules.at_least("search.elite", self.elite, 1)
        rules.probability("search.gene_mutation", self.gene_mutation)
        rules.probability("search.crossover", self.crossover)
        rules.probability("search.mutation", self.mutation)
        rules.at_least("search.recalibration_images", self.recalibration_images, 2)
        rules.at_least("search.recalibration_batch", self.recalibration_batch, 2)
        rules.at_least("search.evaluation_batch", self.evaluation_batch, 1)
        rules.window("search.madds", self.madds_min, self.madds_max)
        rules.window("search.params", self.params_min, self.params_max)
        if self.bitops_max is not None:
            rules.positive("search.bitops_max", self.bitops_max)
        for bound in self.bounds:
            parse_bound(bound)
        for limit in self.limits or ():
            rules.positive("search.limits", limit)
        for share in self.limit_shares or ():
            rules.require(0 < share <= 1, "search.limit_shares", "of shares in (0, 1]", share)
        if self.limit_shares is not None:
            distinct = len(set(self.limit_shares)) == len(self.limit_shares) > 0
            rules.require(
                distinct,
                "search.limit_shares",
                "one share or more, without repetition",
                self.limit_shares,
            )
        if self.limits is not None:
            rules.require(len(self.limits) > 0, "search.limits", "one limit or more", self.limits)
            rules.require(
                len(set(self.limits)) == len(self.limits),
                "search.limits",
                "without repetition",
                self.limits,
            )
