"""Make every table and figure of the study of rankings from its committed data.

    python benchmarks/ranking_tables.py

Reads ``results/ranking_truth.csv`` and ``ranking_scores.csv``; writes ``ranking.csv`` (figures of
every estimator, over the seeds), ``ranking_calibration.csv`` (stated probabilities against what is
true), the pictures ``ranking_*.svg``, and the tables in docs/ranking.md.
"""

from typing import Any

import numpy as np
from plot import save_bumps, save_intervals, save_plot
from ranking_study import Study, rounded, studies
from ranking_text import PAGE, calibration_table, filled, skip_table, tau_table, variant_table
from record import RESULTS, load, machine, save

from stnas.learn.ranks import ranks
from stnas.rank.analysis import calibration, ceiling, judge
from stnas.rank.estimators import Estimator, sample_scores
from stnas.rank.ledger import vectors

NAMES = {"fashion": "Fashion-MNIST", "cifar": "CIFAR-10"}
SHOWN = ("baseline", "checkpoint", "parameters", "scores", "network")
FOLLOWED = 10
"""Architectures whose ranks are followed over the epochs."""


def calibrations(study: Study) -> list[dict[str, Any]]:
    """Return the calibration of every chain, pairs of all seeds together."""
    rows = []
    for way in study.ways:
        found = []
        for lines in study.lines.values():
            known = vectors(lines, len(study.truth), "accuracy")
            samples = sample_scores(way, known)
            if way.kind == "chain" and len(samples) > 1:
                found.append(calibration(samples, study.reality))
        for place in range(len(found[0]["bins"]) if found else 0):
            bins = [each["bins"][place] for each in found if each["bins"][place]["pairs"]]
            pairs = [each["pairs"] for each in bins]
            row = {"set": study.name, "way": way.name, "from": found[0]["bins"][place]["from"]}
            means = {
                name: np.average([each[name] for each in bins], weights=pairs) if bins else None
                for name in ("stated", "right")
            }
            brier = np.mean([each["brier"] for each in found])
            rows.append(rounded({**row, "pairs": sum(pairs), **means, "brier": brier}))
    return rows


def draw_tau(study: Study, table: list[dict[str, Any]]) -> None:
    """Draw tau-b of the recalibrated accuracy of every way, with its interval and its seeds."""
    rows = [
        row
        for row in table
        if row["form"] in SHOWN and row["statistics"] != "running" and row["measure"] != "loss"
    ]
    keys = [tuple(row[part] for part in ("way", "form", "statistics", "measure")) for row in rows]
    save_intervals(
        f"ranking_{study.name}",
        labels=[f"{row['way']}, {row['form']}" for row in rows],
        middles=[row["tau"] for row in rows],
        ends=[(row["tau_low"], row["tau_high"]) for row in rows],
        dots=[[tau_of(study, each) for each in study.estimators[key]] for key in keys],
        level=ceiling(study.reality)["tau"],
        x="Kendall's tau-b with training from scratch (dots: seeds; the line: truth, seed to seed)",
        title=f"{NAMES[study.name]}: {len(study.truth)} architectures, {len(study.lines)} seeds",
    )


def tau_of(study: Study, estimator: Estimator) -> float:
    """Return an estimator's tau-b."""
    return float(judge(estimator, study.reality, reference=None)["tau"])


def draw_seeds(study: Study, way: tuple[str, ...], name: str) -> None:
    """Draw the ranks by the worst and the best seed beside the true ones (the paper's figure 4)."""
    own = sorted(study.estimators[way], key=lambda each: tau_of(study, each))
    worst, best = own[0], own[-1]
    columns = [worst.values[-1], study.reality.mean, best.values[-1]]
    save_bumps(
        f"ranking_seeds_{name}_{study.name}",
        ranks=np.stack([ranks(values) + 1 for values in columns]),
        labels=[
            f"worst seed\ntau-b {tau_of(study, worst):.2f}",
            "trained from\nscratch",
            f"best seed\ntau-b {tau_of(study, best):.2f}",
        ],
        title=f"{NAMES[study.name]}: ranks by {way[0]}, {len(own)} seeds",
    )


def draw_epochs(study: Study) -> None:
    """Draw the ranks of some architectures over the last epochs of a seed (figure 5)."""
    seed, lines = next(iter(study.lines.items()))
    kept = [line for line in lines if line["way"] == "single" and line["statistics"] == "own"]
    chosen = np.linspace(0, len(study.truth) - 1, FOLLOWED).round().astype(int)
    scores = np.array([line["accuracy"] for line in kept])[:, chosen]
    save_bumps(
        f"ranking_epochs_{study.name}",
        ranks=np.stack([ranks(values) + 1 for values in scores]),
        labels=[str(i - len(kept) + 1) for i in range(len(kept))],
        title=f"{NAMES[study.name]}: ranks of {FOLLOWED} architectures by single checkpoints, "
        f"seed {seed}",
        x="epoch, counted from the last",
    )


def draw_calibration(study: Study, rows: list[dict[str, Any]]) -> None:
    """Draw how often the one that is held to be better is better, by the stated probability."""
    lines = {
        way: (
            [row["stated"] for row in rows if row["way"] == way and row["pairs"]],
            [row["right"] for row in rows if row["way"] == way and row["pairs"]],
        )
        for way in dict.fromkeys(row["way"] for row in rows)
    }
    save_plot(
        f"ranking_calibration_{study.name}",
        x="probability that one architecture is better, by the samples",
        y="share in which it is, by training from scratch",
        title=f"{NAMES[study.name]}: comparisons of pairs",
        lines={"as stated": ([0.5, 1.0], [0.5, 1.0]), **lines},
    )


def main() -> None:
    """Write the tables, then the pictures."""
    found = studies()
    tables = {study.name: study.table() for study in found}
    calibrated = {study.name: calibrations(study) for study in found}
    texts = {"skips": skip_table(load("skip_blocks"))}
    for study in found:
        texts[f"tau {study.name}"] = tau_table(tables[study.name])
        texts[f"variants {study.name}"] = variant_table(tables[study.name])
        texts[f"calibration {study.name}"] = calibration_table(calibrated[study.name])
    PAGE.write_text(filled(PAGE.read_text(), texts))
    save("ranking", [row for rows in tables.values() for row in rows], machine())
    save("ranking_calibration", [r for rows in calibrated.values() for r in rows], machine())
    for study in found:
        draw_tau(study, tables[study.name])
        draw_seeds(study, ("single", "checkpoint", "own", "accuracy"), "single")
        draw_seeds(study, ("posterior", "parameters", "own", "accuracy"), "posterior")
        draw_epochs(study)
        draw_calibration(study, calibrated[study.name])
    print(f"tables and pictures: {RESULTS}")


if __name__ == "__main__":
    main()
