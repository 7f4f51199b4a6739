"""Who takes part in a verdict: by the shared score, then by what a model of the trainings predicts.

The shared score is a weak guide among networks of one size; a few short trainings, and a model that
joins them with the score, are a better one (docs/search-value.md).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stnas.config.search import Measure
from stnas.group.processes import current
from stnas.group.streams import numpy_generator
from stnas.learn.evaluation import SIGN
from stnas.space import SearchSpace
from stnas.verdict.contest import Row
from stnas.verdict.model import predicted, standardised

LEAST = 8
"""Trainings that a model needs."""
Judge = Callable[[list[str]], list[Row]]
"""Trains architectures, given by their texts, and returns what each is judged with."""


@dataclass(frozen=True)
class Fit:
    """How well a model predicted trainings that it was not told of, after some trainings.

    error, error_of_score: root mean square of the left-out errors of the model, and of a straight
    line through the shared score; used: whether the model chose.
    """

    trained: int
    error: float
    error_of_score: float
    used: bool

    def told(self) -> str:
        """Say it in a line."""
        verb = "chooses" if self.used else "does not choose"
        return (
            f"after {self.trained} trainings the model {verb}: left-out error {self.error:.4f}, "
            f"by the shared score alone {self.error_of_score:.4f}"
        )


class Field:
    """Chooses the candidates of one limit in rounds.

    rows: the candidates that there are, rows of the archive inside the window (below it, too, where
    it holds too few). count: how many take part. expected: what a model of all short trainings
    expects of those that were taken, the less the better; empty where the model is not better than
    the shared score.
    """

    def __init__(
        self,
        space: SearchSpace,
        rows: Sequence[Row],
        *,
        count: int,
        measure: Measure,
        judged_by: Measure,
        seed: int,
    ) -> None:
        self.space, self.rows, self.count = space, list(rows), min(count, len(rows))
        self.sign, self.judged_by, self.seed = SIGN[judged_by], judged_by, seed
        self.score = SIGN[measure] * np.array([float(row[measure]) for row in self.rows])
        self.genotypes = np.array([space.parse(str(row["genotype"])) for row in self.rows])
        sizes = [np.log1p([float(row[name]) for row in self.rows]) for name in ("madds", "params")]
        self.numbers = np.stack([standardised(column) for column in (self.score, *sizes)], axis=1)
        self.taken: list[int] = []
        self.fits: list[Fit] = []
        self.expected: Mapping[str, float] = {}

    def best(self) -> None:
        """Take the best by the shared score."""
        self.taken = np.argsort(self.score, kind="stable")[: self.count].tolist()

    def first(self, count: int) -> list[str]:
        """Take candidates to begin with: the best by the shared score, and as many at random."""
        count = min(count, self.count)
        best = np.argsort(self.score, kind="stable").tolist()
        self.taken = best[: (count + 1) // 2]
        rest = best[len(self.taken) :]
        order = numpy_generator(self.seed, "field").permutation(len(rest)).tolist()
        self.taken += [rest[i] for i in order[: count - len(self.taken)]]
        return self.texts(self.taken)

    def further(self, count: int, reached: Mapping[str, Row]) -> list[str]:
        """Take those that the model predicts best, of what all that were taken have reached."""
        return self._take(self._predicted(reached) if count > 0 else self.score, count)

    def settle_(self, reached: Mapping[str, Row]) -> None:
        """Keep what the model expects of all that were taken, with what each reached itself."""
        values = self._predicted(reached)
        if self.fits and self.fits[-1].used:
            texts = self.texts(self.taken)
            self.expected = {text: values[i] for text, i in zip(texts, self.taken, strict=True)}

    def _predicted(self, reached: Mapping[str, Row]) -> NDArray[np.float64]:
        """Return what the model predicts, the less the better; the shared score where it is worse.

        Worse is who errs more over trainings that it was not told of.
        """
        if len(self.taken) < LEAST:
            return self.score
        results = [reached[text][self.judged_by] for text in self.texts(self.taken)]
        trained, target = np.array(self.taken), self.sign * np.array(results, np.float64)
        fit = partial(predicted, self.genotypes, self.numbers, trained, target)
        found = current().first(fit)  # Processors differ in the last bits, and a tie in the choice.
        error = _root_mean_square(target - found.left_out)
        line = _root_mean_square(target - _left_out_line(self.score[trained], target))
        self.fits.append(Fit(len(trained), error, line, used=error < line))
        return found.mean if error < line else self.score

    def _take(self, order: NDArray[np.float64], count: int) -> list[str]:
        """Take those that are left, the least first."""
        known = set(self.taken)
        left = [i for i in np.argsort(order, kind="stable").tolist() if i not in known]
        fresh = left[: max(0, min(count, self.count - len(self.taken)))]
        self.taken += fresh
        return self.texts(fresh)

    def texts(self, places: Sequence[int]) -> list[str]:
        """Return the texts of candidates."""
        return [str(self.rows[place]["genotype"]) for place in places]

    def field(self) -> tuple[Row, ...]:
        """Return the candidates that were taken, in the order of the shared score."""
        return tuple(self.rows[i] for i in sorted(self.taken, key=lambda i: (self.score[i], i)))


def explored(fields: Sequence[Field], rounds: int, judge: Judge) -> None:
    """Let all fields choose, round by round; what several take trains once.

    In a single round nothing is trained: the shared score alone chooses.
    """
    if rounds == 1:
        for field in fields:
            field.best()
        return
    reached: dict[str, Row] = {}
    for number in range(rounds):
        texts: list[str] = []
        for field in fields:
            share = -(-field.count * (number + 1) // rounds) - len(field.taken)
            texts += field.further(share, reached) if number else field.first(share)
        texts = list(dict.fromkeys(text for text in texts if text not in reached))
        reached.update((str(row["genotype"]), row) for row in judge(texts))
    for field in fields:
        field.settle_(reached)


def _root_mean_square(errors: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def _left_out_line(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for every point what the least squares line through the others says there."""
    design = np.stack((np.ones(len(x)), standardised(x)), axis=1)
    hat = design @ np.linalg.pinv(design)
    leverage = np.minimum(np.diag(hat), 1 - 1e-9)
    return np.asarray(y - (y - hat @ y) / (1 - leverage))
