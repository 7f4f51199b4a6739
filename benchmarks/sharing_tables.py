"""Make the tables of ``sharing_study.py`` and ``chain_study.py``: ``python sharing_tables.py``."""

import json
from collections import defaultdict

import chain_study
import numpy as np
from numpy.typing import NDArray
from ranking_text import filled, lines, show
from record import Row, load
from sharing_study import SCORES, SHORT, TRUTH, quickstart_space
from space_study_tables import PAGE

from stnas.config.data import DataConfig
from stnas.data import load as load_images
from stnas.learn.ranks import signs
from stnas.rank.statistics import interval, resamples, tau, weighted_tau
from stnas.verdict.model import predicted, standardised

Vector = NDArray[np.float64]


def truth() -> tuple[list[str], Vector]:
    """Return the networks and their mean accuracies in percent, of two trainings each."""
    found: dict[str, list[float]] = defaultdict(list)
    for row in load(TRUTH):
        found[row["genotype"]].append(100 * float(row["test10k_accuracy"]))
    return list(found), np.array([np.mean(values) for values in found.values()])


def published() -> Vector:
    """Return the mean accuracies in percent of the 200 networks of NAS-Bench-Macro."""
    rows = [row for row in load("table_truth") if row["set"] == "macro"]
    return np.array(
        [np.mean([100 * float(row[f"accuracy_{i}"]) for i in range(3)]) for row in rows]
    )


def with_interval(scores: list[Vector], accuracies: Vector) -> str:
    """Format the mean tau-b of some scores (the more the better) with its bootstrap interval."""
    counts = resamples(len(accuracies), 2000, seed=0)
    drawn = [weighted_tau(signs(score), signs(accuracies), counts) for score in scores]
    low, high = interval(np.mean(drawn, axis=0))
    mean = np.mean([tau(score, accuracies) for score in scores])
    return f"{show(mean)} ({show(low)} to {show(high)})"


def best_of(score: Vector, accuracies: Vector, count: int) -> float:
    """Return how far the best by a score lie above the mean of all."""
    return float(accuracies[np.argsort(-score)[:count]].mean() - accuracies.mean())


def sharing(rows: list[Row], accuracies: Vector) -> str:
    """Tabulate the ways of training shared weights."""
    ways: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        ways[row["way"]].append(row)
    head = ("changed", "hyper-networks", "processor seconds", "tau-b by loss (95 %)",
            "tau-b by accuracy", "best 6 by loss, points", "two of them agree")  # fmt: skip
    body = []
    for way, own in ways.items():
        by_loss = [-np.array(json.loads(row["loss"])) for row in own]
        by_accuracy = [np.array(json.loads(row["accuracy"])) for row in own]
        pairs = [tau(a, b) for i, a in enumerate(by_loss) for b in by_loss[:i]]
        leads = [best_of(score, accuracies, 6) for score in by_loss]
        body.append(
            [way, str(len(own)), f"{np.mean([float(row['seconds']) for row in own]):.0f}",
             with_interval(by_loss, accuracies),
             show(np.mean([tau(score, accuracies) for score in by_accuracy])),
             show(np.mean(leads), sign="+"), show(np.mean(pairs)) if pairs else "-"]
        )  # fmt: skip
    return lines(head, body)


def guides(texts: list[str], accuracies: Vector) -> str:
    """Tabulate what orders networks of one size: shared loss, size, short trainings, a model."""
    shared = [-np.array(json.loads(r["loss"])) for r in load(SCORES) if r["way"] == "quickstart"]
    sizes = {row["genotype"]: float(row["params"]) for row in load(TRUTH)}
    params = np.array([sizes[text] for text in texts])
    guides = {"shared loss": shared, "parameters": [params]}
    data = load_images(DataConfig(path="embedded", validation=0.2), seed=0)
    space = quickstart_space(data)
    genotypes = np.stack([space.parse(text) for text in texts])
    for epochs in (2, 5, 15):
        losses = {
            row["genotype"]: float(row["held_out_loss"])
            for row in load(SHORT)
            if int(row["epochs"]) == epochs
        }
        if not set(texts) <= set(losses):
            continue
        own = np.array([losses[text] for text in texts])
        guides[f"training of {epochs} epochs"] = [-own]
        numbers = np.stack([standardised(shared[0]), standardised(np.log(params))], axis=1)
        everyone = np.arange(len(texts))
        smoothed = predicted(genotypes, numbers, everyone, own)
        guides[f"{epochs} epochs, joined by the model"] = [-smoothed.mean]
        guides[f"model of the others' {epochs} epochs"] = [-smoothed.left_out]
    head = ("guide", "tau-b (95 %)", "correlation", "best 6, points")
    return lines(
        head,
        [
            [name, with_interval(scores, accuracies),
             show(np.mean([np.corrcoef(s, accuracies)[0, 1] for s in scores])),
             show(np.mean([best_of(s, accuracies, 6) for s in scores]), sign="+")]
            for name, scores in guides.items()
        ],
    )  # fmt: skip


if __name__ == "__main__":
    names, reached = truth()
    found = {
        "sharing": sharing(load(SCORES), reached),
        "chain": sharing(load(chain_study.SCORES), published()),
        "guides": guides(names, reached),
    }
    PAGE.write_text(filled(PAGE.read_text(), found))
