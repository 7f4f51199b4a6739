"""Estimators of an architecture's accuracy, made of the scores of a ranking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from stnas.config.rank import Way, WayKind
from stnas.learn.ranks import Vector
from stnas.rank.ledger import Key, Statistics, vectors
from stnas.rank.weights import MEAN, TRAINED
from stnas.store.rows import ScoreRow

Form = Literal["checkpoint", "parameters", "scores", "bound", "network", "baseline"]
"""What is averaged: nothing (figures are medians over checkpoints), the weights, or the scores of
samples; ``bound`` is their mean less their standard deviation."""
FORMS: dict[WayKind, Form] = {"single": "checkpoint", "finetune": "network", "probe": "network"}
"""What the other kinds of ways average are parameters."""
Measure = Literal["accuracy", "loss", ""]


@dataclass(frozen=True)
class Estimator:
    """A way of scoring in one of its forms.

    values: ``[K, n]``, the higher the better; where K > 1, figures are medians over the K.
    """

    way: str
    form: Form
    statistics: Statistics | Literal[""]
    measure: Measure
    values: Vector

    @property
    def name(self) -> dict[str, str]:
        """Return the words that tell it from others."""
        return {
            "way": self.way,
            "form": self.form,
            "statistics": self.statistics,
            "measure": self.measure,
        }


def estimators(ways: Sequence[Way], lines: Sequence[ScoreRow], count: int) -> list[Estimator]:
    """List every estimator that the lines of a ledger give, for ``count`` architectures."""
    found = []
    measures: tuple[tuple[Literal["accuracy", "loss"], float], ...]
    measures = (("accuracy", 1.0), ("loss", -1.0))
    for measure, sign in measures:
        known = {key: sign * v for key, v in vectors(lines, count, measure).items()}
        for way in ways:
            found += of_way(way, known, measure)
    return found


def of_way(way: Way, known: Mapping[Key, Vector], measure: Measure) -> list[Estimator]:
    """List the estimators of one way by one measure."""

    def make(form: Form, statistics: Statistics, values: Sequence[Vector]) -> list[Estimator]:
        if not values:
            return []
        return [Estimator(way.name, form, statistics, measure, np.stack(values))]

    form = FORMS.get(way.kind, "parameters")
    found = []
    kinds: tuple[Statistics, ...] = ("own", "running")
    for statistics in kinds:
        own = [v for key, v in known.items() if key[0] == way.name and key[2] == statistics]
        if form == "parameters":
            own = [v for v in [known.get((way.name, MEAN, statistics))] if v is not None]
        found += make(form, statistics, own)
    samples = sample_scores(way, known)
    if len(samples) > 1:
        found += make("scores", "own", [samples.mean(axis=0)])
        found += make("bound", "own", [samples.mean(axis=0) - samples.std(axis=0, ddof=1)])
    return found


def sample_scores(way: Way, known: Mapping[Key, Vector]) -> Vector:
    """Return the scores ``[K, n]`` of the samples that a way averages over; K = 0: it has none.

    Those of ``tail`` are the checkpoints of ``single``; a chain begins with the trained weights.
    """
    own = [key for key in known if key[2] == "own"]
    if way.kind == "tail":
        keys = [key for key in own if key[0] == "single"]
    elif way.kind == "chain":
        keys = [key for key in own if key[0] == way.name and key[1] != MEAN]
        keys += [key for key in own if key[:2] == ("single", TRAINED)]
    else:
        keys = []
    rows = [known[key] for key in keys]
    return np.stack(rows) if rows else np.empty((0, 0))


def baselines(costs: Mapping[str, Vector]) -> list[Estimator]:
    """Return the rankings that look at one cost alone, by its name."""
    return [Estimator(name, "baseline", "", "", values[None]) for name, values in costs.items()]
