"""Make the tables of the trainings of ``space_study.py``: ``python space_study_tables.py``."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from ranking_text import filled, lines, show
from record import Row, load

from stnas.learn.ranks import signs
from stnas.rank.statistics import interval, resamples, tau, weighted_tau

PAGE = Path(__file__).parents[1] / "docs" / "search-value.md"
STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36}
"""97.5 % points of Student's t for means of n numbers."""
Vector = NDArray[np.float64]


def final(row: Row) -> float:
    """Return the accuracy on the 10,000 test images in percent."""
    return 100 * float(row["test10k_accuracy"])


def gains(rows: list[Row]) -> str:
    """Tabulate what each factor of the recipe brings, paired by network and seed."""
    own = [row for row in rows if row["space"] == "micro" and row["held_out"] == "False"]
    base = {(r["size"], r["seed"]): final(r) for r in own if r["recipe"] == "quickstart"}
    head = ("changed", "n", "gain, points (95 %)", "least and greatest", "loss in training")
    body = []
    for recipe in dict.fromkeys(row["recipe"] for row in own):
        pairs = [
            (final(r) - base[r["size"], r["seed"]], float(r["train_loss"]))
            for r in own
            if r["recipe"] == recipe and r["network"] == "0" and (r["size"], r["seed"]) in base
        ]
        gain, losses = np.array(pairs).T
        if recipe == "quickstart":
            body.append([recipe, str(len(gain)), "-", "-", show(losses.mean(), digits=3)])
        elif len(gain) > 2:
            half = STUDENT[len(gain)] * gain.std(ddof=1) / len(gain) ** 0.5
            ends = f"{show(gain.min(), sign='+')} to {show(gain.max(), sign='+')}"
            value = f"{show(gain.mean(), sign='+')} ± {half:.2f}"
            body.append([recipe, str(len(gain)), value, ends, show(losses.mean(), digits=3)])
    return lines(head, body)


def by_network(rows: list[Row]) -> dict[str, list[float]]:
    """Return the accuracies of each network's long trainings, one a seed."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["held_out"] == "False":
            found.setdefault(row["network"], []).append(final(row))
    return found


def spreads(rows: list[Row]) -> str:
    """Tabulate the spread between random networks of one size in each space."""
    head = ("space", "MAdds", "networks", "seeds each", "mean", "s.d. between", "least", "best",
            "s.d. between seeds", "separable")  # fmt: skip
    body = []
    known = [row for row in rows if row["recipe"] == "decay 5e-4, dropout 0"]
    for space, size in dict.fromkeys((row["space"], row["size"]) for row in known):
        own = by_network([r for r in known if (r["space"], r["size"]) == (space, size)])
        plain = own.pop("separable", [])
        seeds = min(len(values) for values in own.values())
        means = np.array([np.mean(values) for values in own.values()])
        pairs = np.array([values[:2] for values in own.values() if len(values) > 1])
        noise = centred(pairs) if len(pairs) > 2 else None
        body.append(
            [space, f"{int(size):,}", str(len(means)), str(seeds), show(means.mean()),
             show(means.std(ddof=1)), show(means.min()), show(means.max()), show(noise),
             f"{show(np.mean(plain))} (n {len(plain)})" if plain else "-"]
        )  # fmt: skip
    return lines(head, body)


def centred(pairs: Vector) -> float:
    """Return the standard deviation of one training, without what a seed has in common."""
    return float((pairs[:, 0] - pairs[:, 1]).std(ddof=1) / 2**0.5)


def verdicts(rows: list[Row]) -> str:
    """Tabulate how short trainings order the networks that were trained for long."""
    short = [row for row in rows if row["held_out"] == "True"]
    space = short[0]["space"]
    long = by_network([row for row in rows if row["space"] == space])
    head = ("epochs", "n", "judged on", "tau-b by loss (95 %)", "tau-b by accuracy",
            "lead of the best by loss, points")  # fmt: skip
    body = []
    for epochs in dict.fromkeys(row["epochs"] for row in short):
        own = [r for r in short if r["epochs"] == epochs and len(long.get(r["network"], ())) > 1]
        truth = np.array([np.mean(long[row["network"]]) for row in own])
        for name in ("held_out", "test10k"):
            loss = np.array([-float(row[f"{name}_loss"]) for row in own])
            right = np.array([float(row[f"{name}_accuracy"]) for row in own])
            lead = truth[loss.argmax()] - truth.mean()
            judged = "1,200 held-out" if name == "held_out" else "10,000 test"
            body.append(
                [epochs, str(len(own)), judged, tau_text(loss, truth),
                 show(tau(right, truth)), show(lead, sign="+")]
            )  # fmt: skip
    return lines(head, body)


def tau_text(score: Vector, truth: Vector) -> str:
    """Format tau-b with its bootstrap interval over the networks."""
    drawn = weighted_tau(signs(score), signs(truth), resamples(len(truth), 2000, seed=0))
    low, high = interval(drawn)
    return f"{show(tau(score, truth))} ({show(low)} to {show(high)})"


def tables(rows: Sequence[Row]) -> dict[str, str]:
    """Return every table by the name of its place."""
    own = list(rows)
    return {"factors": gains(own), "spaces": spreads(own), "short": verdicts(own)}


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(), tables(load("space_study"))))
