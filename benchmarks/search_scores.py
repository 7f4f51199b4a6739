"""Hold the committed scores of the study of rankings against longer trainings from scratch.

The scores are those of ``ranking.py`` on CIFAR-10 (``results/ranking_scores.csv``), the truth is
``results/ranking_truth40.csv``: the same 36 architectures, trained for 40 epochs.
"""

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ranking_study import Study, rounded, studies
from record import load

from stnas.learn.ranks import signs
from stnas.rank.statistics import interval, resamples, tau, weighted_tau
from stnas.space import Genotype, SearchSpace

SINGLE = ("single", "checkpoint", "own", "loss")
"""What is compared with: the last checkpoints, by loss, with statistics of their own."""
AVERAGE = ("none", "parameters", "own", "loss")
PENALTY = 1.0
"""Factor of the squared weights in the ridge regression of standardised columns."""
CANDIDATES = (1, 3, 6, 12)
"""How many of the best by a score are trained for the verdict."""
DRAWS = 20_000
Vector = NDArray[np.float64]


def long_study() -> Study:
    """Return the study of CIFAR-10 with the longer trainings as its truth."""
    study = next(study for study in studies() if study.name == "cifar")
    long = {row["genotype"]: row["accuracy"] for row in load("ranking_truth40")}
    kept = ("set", "row", "genotype", "madds", "params")
    truth = [
        {**{name: row[name] for name in kept}, "accuracy_0": long[row["genotype"]]}
        for row in study.truth
    ]
    return replace(study, truth=truth)


def way_rows(study: Study) -> list[dict[str, Any]]:
    """Return tau-b of every estimator, and its gain over ``SINGLE`` on the same samples."""
    reference = study.resampled(SINGLE)
    least = mean_tau(study, SINGLE)
    rows = []
    for key in study.estimators:
        drawn = study.resampled(key)
        low, high = interval(drawn)
        gain_low, gain_high = interval(drawn - reference)
        own = mean_tau(study, key)
        numbers = {
            "n": len(study.truth),
            "seeds": len(study.estimators[key]),
            "tau": own,
            "tau_low": low,
            "tau_high": high,
            "gain": own - least,
            "gain_low": gain_low,
            "gain_high": gain_high,
        }
        rows.append({**study.estimators[key][0].name, **rounded(numbers)})
    return rows


def mean_tau(study: Study, key: tuple[str, ...]) -> float:
    """Return tau-b, a median over an estimator's vectors and a mean over the seeds."""
    truth = study.reality.mean
    return float(
        np.mean([np.median([tau(v, truth) for v in e.values]) for e in study.estimators[key]])
    )


def ensemble_rows(study: Study, key: tuple[str, ...] = AVERAGE) -> list[dict[str, Any]]:
    """Return tau-b of the mean score of k hyper-networks, a mean over all sets of k seeds.

    The intervals cover the choice of architectures alone.
    """
    scores = [estimator.values[-1] for estimator in study.estimators[key]]
    truth, counts = study.reality.mean, study.reality.samples

    def taus(k: int) -> tuple[float, Vector]:
        means = [np.mean(group, axis=0) for group in combinations(scores, k)]
        drawn = [weighted_tau(signs(mean), signs(truth), counts) for mean in means]
        return float(np.mean([tau(mean, truth) for mean in means])), np.mean(drawn, axis=0)

    one, base = taus(1)
    rows, mark = [], "" if key == AVERAGE else f", {key[0]}"
    for k in range(1, len(scores) + 1):
        value, drawn = taus(k)
        low, high = interval(drawn - base)
        numbers = {"tau": value, "gain": value - one, "gain_low": low, "gain_high": high}
        rows.append({"way": f"{k} hyper-networks{mark}", "form": "ensemble", **rounded(numbers)})
    return rows


def lead_rows(study: Study, short: Vector) -> list[dict[str, Any]]:
    """Return by how much the long truth of a choice leads the mean of all architectures.

    short: accuracy after the shorter training, which decides among the best ``k`` by a score
    (k = 1: the score alone decides). Means, least and greatest over the seeds; ``drawn``: the mean
    over all sets of k that could be drawn.
    """
    truth = study.reality.mean
    rows = []
    for measure in ("accuracy", "loss"):
        scores = [e.values[-1] for e in study.estimators[*AVERAGE[:3], measure]]
        for k in CANDIDATES:
            chosen = [best_of(np.argsort(-score)[:k], short) for score in scores]
            leads = 100 * (truth[chosen] - truth.mean())
            numbers = {"lead": leads.mean(), "lead_min": leads.min(), "lead_max": leads.max()}
            rows.append({"way": measure, "form": "verdict", "n": k, **rounded(numbers)})
    rng = np.random.Generator(np.random.Philox(3))
    for k in CANDIDATES:
        draws = [best_of(rng.permutation(len(truth))[:k], short) for _ in range(DRAWS)]
        lead = 100 * float((truth[draws] - truth.mean()).mean())
        rows.append({"way": "drawn", "form": "verdict", "n": k, **rounded({"lead": lead})})
    return rows


def best_of(places: NDArray[np.int64], values: Vector) -> int:
    """Return the one of some places with the greatest value."""
    return int(places[np.argmax(values[places])])


def left_out(columns: Vector, truth: Vector) -> Vector:
    """Predict every row by a ridge regression on the others; columns ``[n, c]``."""
    found = np.empty_like(truth)
    for i in range(len(truth)):
        rest = np.arange(len(truth)) != i
        mean, spread = columns[rest].mean(axis=0), columns[rest].std(axis=0)
        x, y = (columns[rest] - mean) / spread, truth[rest]
        weights = np.linalg.solve(x.T @ x + PENALTY * np.eye(x.shape[1]), x.T @ (y - y.mean()))
        found[i] = y.mean() + (columns[i] - mean) / spread @ weights
    return found


def ridge_rows(study: Study) -> list[dict[str, Any]]:
    """Return tau-b of left-out predictions from loss, accuracy and size, a mean over the seeds."""
    truth = study.reality.mean
    sizes = {key: np.array([float(row[key]) for row in study.truth]) for key in ("madds", "params")}
    accuracy = (*AVERAGE[:3], "accuracy")
    counts = resamples(len(truth), len(study.reality.samples), seed=0)
    rows, base = [], None
    for names in (("loss",), ("loss", "madds"), ("loss", "params"), ("loss", "accuracy")):
        predicted = []
        for seed, estimator in enumerate(study.estimators[AVERAGE]):
            known = {"loss": estimator.values[-1], **sizes}
            known["accuracy"] = study.estimators[accuracy][seed].values[-1]
            predicted.append(left_out(np.stack([known[name] for name in names], axis=1), truth))
        drawn = np.mean([weighted_tau(signs(p), signs(truth), counts) for p in predicted], axis=0)
        base = drawn if base is None else base
        low, high = interval(drawn - base)
        value = float(np.mean([tau(p, truth) for p in predicted]))
        numbers = {"tau": value, "gain_low": low, "gain_high": high}
        rows.append({"way": " + ".join(names), "form": "ridge", **rounded(numbers)})
    return rows


def features(study: Study) -> dict[str, Vector]:
    """Return what a score may lean on: size, blocks, identities, and paths in blocks."""
    space = SearchSpace.profile("micro", stem_stride=2, residual="all")
    found: dict[str, list[float]] = {"madds": [float(row["madds"]) for row in study.truth]}
    for row in study.truth:
        for name, value in paths(space, space.parse(row["genotype"])).items():
            found.setdefault(name, []).append(value)
    return {name: np.array(values, float) for name, values in found.items()}


def paths(space: SearchSpace, genotype: Genotype) -> dict[str, int]:
    """Count blocks and identities, and the blocks on the longest and on the shortest path."""
    arcs = space.arcs_of(genotype)
    ends: list[tuple[int, int]] = [(0, 0)]
    for target in range(1, len(space.nodes)):
        own = [(arc.source, arc.part is not None) for arc in arcs if arc.target == target]
        reached = [(ends[i][0] + block, ends[i][1] + block) for i, block in own]
        ends.append((max(most for most, _ in reached), min(least for _, least in reached)))
    blocks = sum(arc.part is not None for arc in arcs)
    most, least = ends[-1]
    return {
        "blocks": blocks,
        "identities": len(arcs) - blocks,
        "longest path": most,
        "shortest path": least,
    }


def bias_rows(study: Study) -> list[dict[str, Any]]:
    """Return how the truth and the mean loss over the seeds correlate with each feature."""
    score = np.mean([e.values[-1] for e in study.estimators[AVERAGE]], axis=0)
    truth = study.reality.mean
    rows = []
    for name, values in features(study).items():
        pair = [correlated(y, values, np.ones((1, len(truth)))) for y in (truth, score)]
        drawn = [correlated(y, values, study.reality.samples) for y in (truth, score)]
        low, high = interval(drawn[1] - drawn[0])
        numbers = {"truth": pair[0][0], "score": pair[1][0], "gain_low": low, "gain_high": high}
        rows.append({"way": name, "form": "bias", **rounded(numbers)})
    return rows


def correlated(first: Vector, second: Vector, counts: Vector) -> Vector:
    """Return Pearson's correlation ``[B]`` in B samples that have each row ``counts`` times."""
    share = counts / counts.sum(axis=1, keepdims=True)

    def mean(values: Vector) -> Vector:
        return share @ values  # type: ignore[no-any-return]

    cross = mean(first * second) - mean(first) * mean(second)
    spread = (mean(first**2) - mean(first) ** 2) * (mean(second**2) - mean(second) ** 2)
    return cross / np.sqrt(spread)
