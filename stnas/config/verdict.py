"""The verdict: which of the candidates that the search proposes is best on its own."""

from dataclasses import dataclass
from typing import get_args

from stnas.config import rules
from stnas.config.search import Measure


@dataclass(frozen=True)
class VerdictConfig:
    """How successive halving chooses among the candidates of each limit (docs/verdict.md)."""

    candidates: int = 12
    """Candidates for each limit that are trained from scratch; 0 leaves the verdict out, and the
    search chooses."""
    rounds: int = 3
    """Rounds in which the candidates of a limit are chosen. The first takes half of its share by
    the shared score and half at random; every other takes those that a model of the trainings so
    far predicts best (docs/verdict.md). With 1 the shared score alone chooses."""
    measure: Measure = "loss"
    """What decides on the held-out images: `loss`, `accuracy` or `balanced_accuracy`."""
    reduction: int = 3
    """One of so many candidates goes on from one rung of successive halving to the next."""
    epochs: int | None = None
    """Passes over the training images of a candidate that stays to the end, each rung
    `verdict.reduction` times as many as the one before. Default: as many as `verdict.share` allows,
    but no more than `retrain.epochs`. Everything else is trained as in the section `retrain`."""
    share: float = 0.2
    """Passes over the training images that the verdict takes for a limit, as a share of those that
    it, the hyper-network and one retraining take together."""

    def __post_init__(self) -> None:
        """Check the section."""
        rules.at_least("verdict.candidates", self.candidates, 0)
        rules.at_least("verdict.rounds", self.rounds, 1)
        rules.one_of("verdict.measure", self.measure, get_args(Measure))
        rules.at_least("verdict.reduction", self.reduction, 2)
        if self.epochs is not None:
            rules.at_least("verdict.epochs", self.epochs, 1)
        rules.require(0 < self.share < 1, "verdict.share", "in (0, 1)", self.share)
