"""What the ground truth says of every estimator."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from stnas.learn.ranks import Vector, signs, spearman
from stnas.rank.estimators import Estimator
from stnas.rank.statistics import (
    band_tau,
    better_probability,
    interval,
    regret,
    resamples,
    tau,
    top_precision,
    weighted_tau,
)

REFERENCE = ("none", "parameters", "own", "accuracy")
"""The baseline that others are compared with: plain averaging (SWA) of the weights."""
SHOWN = 200
"""Most architectures whose comparisons, a probability a pair, are written down."""
CONFIDENCE = tuple(np.linspace(0.5, 1.0, 6).tolist())
"""Ends of the ranges of probability in which comparisons are counted."""


@dataclass(frozen=True)
class Reality:
    """The ground truth of n architectures: mean test accuracy over the seeds, and the costs.

    samples: bootstrap samples of the architectures ``[B, n]``, the same for every estimator, so
    that differences have intervals of their own.
    """

    accuracies: Sequence[Sequence[float]]
    madds: Vector
    bands: int
    samples: Vector

    @classmethod
    def make(
        cls,
        accuracies: Sequence[Sequence[float]],
        madds: Vector,
        *,
        bands: int,
        count: int,
        seed: int = 0,
    ) -> "Reality":
        """Draw the bootstrap samples."""
        drawn = resamples(len(accuracies), count, seed=seed)
        return cls(accuracies, madds, bands, drawn)

    @property
    def mean(self) -> Vector:
        """Return the mean accuracy ``[n]`` over the seeds of each architecture."""
        return np.array([np.mean(values) for values in self.accuracies])


def median(values: Sequence[float]) -> float:
    """Return the median of what is known; NaN where nothing is."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.median(known)) if known else float("nan")


def resampled_tau(estimator: Estimator, reality: Reality) -> Vector:
    """Return the estimator's tau-b in every bootstrap sample ``[B]``, a median over its K."""
    true = signs(reality.mean)
    taus = [weighted_tau(signs(v), true, reality.samples) for v in estimator.values]
    return np.median(np.stack(taus), axis=0)


def judge(estimator: Estimator, reality: Reality, *, reference: Vector | None) -> dict[str, Any]:
    """Return the figures of one estimator; None where one is not defined.

    reference: tau-b of the baseline in every bootstrap sample, to state the difference.
    """
    truth, madds, rows = reality.mean, reality.madds, estimator.values
    taus = resampled_tau(estimator, reality)
    low, high = interval(taus)
    numbers: dict[str, Any] = {
        "n": len(truth),
        "tau": median([tau(v, truth) for v in rows]),
        "tau_low": low,
        "tau_high": high,
        "spearman": median([spearman(v, truth) for v in rows]),
        "top_precision": median([top_precision(v, truth, madds) for v in rows]),
        "band_tau": median([band_tau(v, truth, madds, reality.bands) for v in rows]),
        "regret": median([regret(v, truth, madds) for v in rows]),
    }
    if reference is not None:
        low, high = interval(taus - reference)
        numbers |= {"gain_low": low, "gain_high": high}
    return {**estimator.name, **{key: known(value) for key, value in numbers.items()}}


def known(value: Any) -> Any:
    """Return a number, None for NaN: JSON has none."""
    return None if isinstance(value, float) and np.isnan(value) else value


def ceiling(reality: Reality) -> dict[str, Any]:
    """Return tau-b between the seeds of the ground truth, of architectures with several.

    The mean over the pairs of seeds. No ranking can be expected to agree better with one training
    of each.
    """
    rows = [i for i, values in enumerate(reality.accuracies) if len(values) > 1]
    seeds = min((len(reality.accuracies[i]) for i in rows), default=0)
    numbers: dict[str, Any] = {"n": len(rows), "tau": None, "tau_low": None, "tau_high": None}
    if len(rows) > 1 and seeds > 1:
        table = np.array([reality.accuracies[i][:seeds] for i in rows]).T
        drawn = resamples(len(rows), len(reality.samples), seed=1)
        pairs = list(combinations(range(seeds), 2))
        taus = [weighted_tau(signs(table[a]), signs(table[b]), drawn) for a, b in pairs]
        low, high = interval(np.mean(taus, axis=0))
        mean = float(np.mean([tau(table[a], table[b]) for a, b in pairs]))
        numbers |= {"tau": known(mean), "tau_low": known(low), "tau_high": known(high)}
    return {"way": "truth, seed to seed", "form": "ceiling", **numbers}


def reference_tau(estimators: Sequence[Estimator], reality: Reality) -> Vector | None:
    """Return the bootstrap tau-b of the baseline; None where it was not scored."""
    for estimator in estimators:
        if tuple(estimator.name.values()) == REFERENCE:
            return resampled_tau(estimator, reality)
    return None


def analyse(estimators: Sequence[Estimator], reality: Reality) -> list[dict[str, Any]]:
    """Return a row of figures for every estimator, and one for the ceiling."""
    reference = reference_tau(estimators, reality)
    rows = [judge(estimator, reality, reference=reference) for estimator in estimators]
    return [*rows, ceiling(reality)]


def calibration(samples: Vector, reality: Reality) -> dict[str, Any]:
    """Hold the probability that one architecture is better, by samples of a score, against truth.

    samples: ``[K, n]``. Pairs are counted by the probability of the one that is held to be better:
    how many there are, the mean probability, and the share in which it is truly better. Pairs that
    are truly equal are left out.
    """
    chance, truth = better_probability(samples), signs(reality.mean)
    first, second = np.nonzero((chance > 0.5) & (truth != 0))
    even = np.argwhere(np.triu(chance == 0.5, 1) & (truth != 0))
    stated = np.concatenate((chance[first, second], np.full(len(even), 0.5)))
    right = np.concatenate((truth[first, second] > 0, np.full(len(even), 0.5)))
    place = np.clip(np.searchsorted(CONFIDENCE, stated, side="right") - 1, 0, len(CONFIDENCE) - 2)
    bins = [
        {
            "from": CONFIDENCE[i],
            "to": CONFIDENCE[i + 1],
            "pairs": int((place == i).sum()),
            "stated": known(float(stated[place == i].mean())) if (place == i).any() else None,
            "right": known(float(right[place == i].mean())) if (place == i).any() else None,
        }
        for i in range(len(CONFIDENCE) - 1)
    ]
    brier = float(np.mean((stated - right) ** 2)) if len(stated) else None
    better = chance.round(4).tolist() if len(truth) <= SHOWN else None
    return {"bins": bins, "brier": brier, "better": better}
