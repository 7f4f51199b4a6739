"""Hold the committed scores of the study of rankings against longer trainings from scratch.

    python benchmarks/search_scores.py

It trains nothing: the scores are those of ``ranking.py`` on CIFAR-10 (``results/
ranking_scores.csv``), the truth is ``results/ranking_truth40.csv``, the same 36 architectures
trained for 40 epochs. The tables go to docs/search-value.md, and to ``results/search_scores.csv``.
"""

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ranking_study import Study, rounded, studies
from ranking_text import filled, lines, show, span
from record import load, machine, save

from stnas.rank.statistics import interval, resamples, signs, tau, weighted_tau

PAGE = Path(__file__).parents[1] / "docs" / "search-value.md"
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


def ensemble_rows(study: Study) -> list[dict[str, Any]]:
    """Return tau-b of the mean loss of k hyper-networks, a mean over all sets of k seeds.

    The intervals cover the choice of architectures alone.
    """
    scores = [estimator.values[-1] for estimator in study.estimators[AVERAGE]]
    truth, counts = study.reality.mean, study.reality.samples

    def taus(k: int) -> tuple[float, Vector]:
        means = [np.mean(group, axis=0) for group in combinations(scores, k)]
        drawn = [weighted_tau(signs(mean), signs(truth), counts) for mean in means]
        return float(np.mean([tau(mean, truth) for mean in means])), np.mean(drawn, axis=0)

    one, base = taus(1)
    rows = []
    for k in range(1, len(scores) + 1):
        value, drawn = taus(k)
        low, high = interval(drawn - base)
        numbers = {"tau": value, "gain": value - one, "gain_low": low, "gain_high": high}
        rows.append({"way": f"{k} hyper-networks", "form": "ensemble", **rounded(numbers)})
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


def way_table(rows: list[dict[str, Any]]) -> str:
    """Tabulate every way by loss, its gain, and the same by accuracy and running statistics."""
    found = {tuple(row[k] for k in ("way", "form", "statistics", "measure")): row for row in rows}
    head = ("way", "averaged", "tau-b by loss (95 %)", "gain over the last checkpoints (95 %)",
            "by accuracy", "by loss, running statistics")  # fmt: skip
    body = []
    for (way, form, statistics, measure), row in found.items():
        if form == "baseline":
            body.append([f"`{way}`", "size alone", *cells(row), "-", "-"])
        elif (statistics, measure) == ("own", "loss") and form != "bound":
            others = (("own", "accuracy"), ("running", "loss"))
            beside = [show(found.get((way, form, *other), {}).get("tau")) for other in others]
            body.append([f"`{way}`", form, *cells(row), *beside])
    return lines(head, body)


def cells(row: dict[str, Any]) -> list[str]:
    """Format tau-b and the gain with their intervals."""
    gain = f"{show(row['gain'], sign='+')} ({span(row, 'gain_low', 'gain_high', sign='+')})"
    return [f"{show(row['tau'])} ({span(row, 'tau_low', 'tau_high')})", gain]


def small_table(rows: list[dict[str, Any]], first: str) -> str:
    """Tabulate tau-b and its gain over the first row."""
    base = float(rows[0]["tau"])
    body = [
        [row["way"], show(row["tau"], digits=3), show(row["tau"] - base, sign="+", digits=3),
         span(row, "gain_low", "gain_high", sign="+")]
        for row in rows
    ]  # fmt: skip
    return lines((first, "tau-b", "gain", "95 %"), body)


def lead_table(rows: list[dict[str, Any]]) -> str:
    """Tabulate the leads of the choices, in points."""
    head = ("best k by", *(f"k = {k}" for k in CANDIDATES))
    body = []
    for way in dict.fromkeys(row["way"] for row in rows):
        own = [row for row in rows if row["way"] == way]
        body.append([way, *(lead_text(row) for row in own)])
    return lines(head, body)


def lead_text(row: dict[str, Any]) -> str:
    """Format a lead, with its range over the seeds where it has one."""
    ends = f" ({span(row, 'lead_min', 'lead_max', sign='+')})" if "lead_min" in row else ""
    return f"{show(row['lead'], sign='+')}{ends}"


def main() -> None:
    """Write the tables."""
    study = long_study()
    ways, together, ridge = way_rows(study), ensemble_rows(study), ridge_rows(study)
    first = {
        r["genotype"]: float(r["accuracy_0"]) for r in load("ranking_truth") if r["set"] == "cifar"
    }
    leads = lead_rows(study, np.array([first[row["genotype"]] for row in study.truth]))
    save("search_scores", [*ways, *together, *ridge, *leads], machine())
    tables = {
        "ways": way_table(ways),
        "ensembles": small_table(together, "mean loss of"),
        "leads": lead_table(leads),
        "ridge": small_table(ridge, "left-out prediction from"),
    }
    PAGE.write_text(filled(PAGE.read_text(), tables))
    print(f"tables: {PAGE}")


if __name__ == "__main__":
    main()
