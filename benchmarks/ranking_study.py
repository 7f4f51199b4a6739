"""The committed trainings and scores of the study of rankings, and its figures over the seeds."""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from record import Row, load

from stnas.config.rank import Way, parse_way
from stnas.rank.analysis import REFERENCE, Reality, ceiling, judge, resampled_tau
from stnas.rank.estimators import Estimator, baselines, estimators
from stnas.rank.statistics import interval, tau

BANDS, RESAMPLES = 3, 2000
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Study:
    """Everything that was measured on one set of images.

    lines: by seed of the hyper-network, as a run's ``scores.jsonl`` has them.
    """

    name: str
    truth: list[Row]
    lines: dict[int, list[dict[str, Any]]]

    @cached_property
    def reality(self) -> Reality:
        """Return the ground truth, with the bootstrap samples of the architectures."""
        accuracies = [
            [float(row[key]) for key in row if key.startswith("accuracy_") and row[key]]
            for row in self.truth
        ]
        madds = np.array([float(row["madds"]) for row in self.truth])
        return Reality.make(accuracies, madds, bands=BANDS, count=RESAMPLES)

    @cached_property
    def ways(self) -> list[Way]:
        """List the ways, in the order in which they were scored."""
        lines = [line for seed in self.lines.values() for line in seed]
        return [parse_way(name) for name in dict.fromkeys(line["way"] for line in lines)]

    @cached_property
    def estimators(self) -> dict[tuple[str, ...], list[Estimator]]:
        """Return every estimator, one a seed; those that look at the size alone have one."""
        sizes = {
            key: np.array([float(row[key]) for row in self.truth]) for key in ("madds", "params")
        }
        found: dict[tuple[str, ...], list[Estimator]] = {
            tuple(each.name.values()): [each] for each in baselines(sizes)
        }
        for lines in self.lines.values():
            for each in estimators(self.ways, lines, len(self.truth)):
                found.setdefault(tuple(each.name.values()), []).append(each)
        return found

    @cached_property
    def seed_counts(self) -> Vector:
        """Draw how often each seed is in each bootstrap sample ``[B, seeds]``."""
        rng, count = np.random.Generator(np.random.Philox(2)), len(self.lines)
        return rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES) / count

    def resampled(self, key: tuple[str, ...]) -> Vector:
        """Return the mean tau-b over the seeds in each sample ``[B]`` of rows and seeds."""
        taus = np.stack([resampled_tau(each, self.reality) for each in self.estimators[key]])
        return taus[0] if len(taus) == 1 else (taus.T * self.seed_counts).sum(axis=1)

    def table(self) -> list[dict[str, Any]]:
        """Return a row of figures for every estimator, and one for the ceiling."""
        reference = self.resampled(REFERENCE)
        rows = [self.row(key, reference) for key in self.estimators]
        return [*rows, {"set": self.name, **rounded(ceiling(self.reality))}]

    def row(self, key: tuple[str, ...], reference: Vector) -> dict[str, Any]:
        """Return the means over the seeds, with intervals over architectures and seeds.

        gain: tau-b less that of plain averaging, on the same samples. seed_tau: mean tau-b
        between the rankings of two seeds.
        """
        own = self.estimators[key]
        each = [judge(estimator, self.reality, reference=None) for estimator in own]
        drawn = self.resampled(key)
        taus = [row["tau"] for row in each]
        low, high = interval(drawn)
        gain_low, gain_high = interval(drawn - reference)
        last = [estimator.values[-1] for estimator in own]
        between = [tau(a, b) for a, b in combinations(last, 2)]
        numbers = {
            "seeds": len(own),
            "n": len(self.truth),
            "tau": np.mean(taus),
            "tau_low": low,
            "tau_high": high,
            "tau_min": min(taus),
            "tau_max": max(taus),
            "gain": np.mean(taus) - self.reference_tau,
            "gain_low": gain_low,
            "gain_high": gain_high,
            "seed_tau": np.mean(between) if between else None,
            **{
                name: np.mean([row[name] for row in each])
                for name in ("band_tau", "spearman", "top_precision", "regret")
            },
        }
        return {"set": self.name, **own[0].name, **rounded(numbers)}

    @cached_property
    def reference_tau(self) -> float:
        """Return the mean tau-b of plain averaging over the seeds."""
        own = self.estimators[REFERENCE]
        return float(np.mean([judge(e, self.reality, reference=None)["tau"] for e in own]))


def rounded(numbers: dict[str, Any]) -> dict[str, Any]:
    """Round the fractions to four decimals; what is unknown stays empty."""
    return {
        name: round(float(value), 4) if isinstance(value, float | np.floating) else value
        for name, value in numbers.items()
    }


def studies() -> list[Study]:
    """Load every set of images of the study."""
    truth, scores = load("ranking_truth"), load("ranking_scores")
    return [
        Study(name, [row for row in truth if row["set"] == name], lines_of(scores, name))
        for name in dict.fromkeys(row["set"] for row in truth)
    ]


def lines_of(scores: list[Row], name: str) -> dict[int, list[dict[str, Any]]]:
    """Turn the rows of a set back into lines of a ledger, by seed."""
    found: dict[int, dict[tuple[str, ...], dict[str, Any]]] = {}
    for row in scores:
        if row["set"] != name:
            continue
        key = tuple(row[part] for part in ("way", "weights", "statistics"))
        line = found.setdefault(int(row["seed"]), {}).setdefault(
            key, dict(zip(("way", "weights", "statistics"), key, strict=True))
        )
        places = [column for column in row if column[:1] == "a" and column[1:].isdecimal()]
        known = [place for place in places if row[place]]
        line["rows"] = [int(place[1:]) for place in known]
        line[row["measure"]] = [float(row[place]) for place in known]
    return {seed: list(lines.values()) for seed, lines in sorted(found.items())}
