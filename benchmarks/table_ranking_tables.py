"""Make the tables of rankings against public accuracies: docs/toponas.md, docs/search-value.md.

    python benchmarks/table_ranking_tables.py

It trains nothing: the scores are those that ``table_ranking.py`` has committed. The figures go to
``results/table_ranking.csv`` too.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from ranking_study import Study, lines_of, rounded
from ranking_text import filled, lines, show, with_ends
from record import Row, known, load, machine, save
from search_scores import SINGLE, ensemble_rows, mean_tau, way_rows
from search_value_tables import bounded

from stnas.rank.analysis import ceiling, judge
from stnas.rank.statistics import interval

DOCS = Path(__file__).parents[1] / "docs"
NOISE = ("posterior", "relative-0.02", "literal")
FORMS = ("parameters", "scores")
PROBE = ("probe-3000", "network", "own", "loss")
PAGES = {"cells": DOCS / "toponas.md", "macro": DOCS / "search-value.md"}


def ways(study: Study) -> list[dict[str, Any]]:
    """Return tau-b of every estimator, and how good the networks are that it holds for the best.

    band_tau: the mean of tau-b inside three ranges of multiply-adds.
    best: the share of the compared networks that are better than the best by the estimator, a
    mean over its vectors and the seeds; regret: by how much the best of all is better, alike.
    """
    rows, truth = way_rows(study), study.reality.mean
    for row, key in zip(rows, study.estimators, strict=True):
        chosen = [np.argmax(v) for each in study.estimators[key] for v in each.values]
        better = np.mean([(truth > truth[i]).mean() for i in chosen])
        own = [judge(each, study.reality, reference=None) for each in study.estimators[key]]
        row |= rounded({
            "band_tau": np.mean([each["band_tau"] for each in own]),
            "best": better,
            "regret": np.mean(truth.max() - truth[chosen]),
        })  # fmt: skip
    return rows


def contrasts(study: Study) -> list[dict[str, Any]]:
    """Return tau-b of chains with noise less that of those without, at the same rate, by loss."""
    rows = []
    for way, form, statistics, measure in study.estimators:
        noise, _, rate = way.partition("@")
        if noise not in NOISE or (statistics, measure) != ("own", "loss") or form not in FORMS:
            continue
        key = (way, form, statistics, measure)
        plain = ("none" + way.removeprefix(noise), *key[1:])
        low, high = interval(study.resampled(key) - study.resampled(plain))
        value = mean_tau(study, key) - mean_tau(study, plain)
        numbers = {"gain": value, "gain_low": low, "gain_high": high}
        rows.append({"way": noise, "rate": rate, "form": form, **rounded(numbers)})
    return rows


def contrast_table(rows: list[dict[str, Any]]) -> str:
    """Tabulate what noise adds to averaging."""
    body = [
        [f"`{row['way']}`", row["rate"] or "`sgld.learning_rate`", row["form"],
         with_ends(row, "gain", digits=3, sign="+")]
        for row in rows
    ]  # fmt: skip
    return lines(("noise", "rate", "averaged", "tau-b less that of `none` (95 %)"), body)


def table(rows: list[dict[str, Any]]) -> str:
    """Tabulate the ways by loss and by accuracy, and the networks put first by loss."""
    found = {tuple(row[k] for k in ("way", "form", "statistics", "measure")): row for row in rows}
    body = []
    for (way, form, statistics, measure), row in found.items():
        if form == "bound" or (form != "baseline" and (statistics, measure) != ("own", "loss")):
            continue
        by_accuracy = found.get((way, form, "own", "accuracy"), {}).get("tau")
        body.append([
            f"`{way}`",
            "size alone" if form == "baseline" else form,
            with_ends(row, "tau", digits=3),
            with_ends(row, "gain", digits=3, sign="+"),
            show(by_accuracy, digits=3),
            show(row["band_tau"]),
            f"{100 * row['best']:.1f} %",
            show(row["regret"], scale=100),
        ])  # fmt: skip
    head = ("way", "averaged", "tau-b by loss (95 %)", "gain over the last checkpoints (95 %)",
            "by accuracy", "in ranges of size", "better than its best", "regret")  # fmt: skip
    return lines(head, body)


def blocks_table(study: Study) -> str:
    """Tabulate what the largest candidate of each block of a chain adds to the identity.

    Effects of a linear fit to the choices of all blocks, means over the hyper-networks, in points:
    every score is scaled to the standard deviation of the published accuracies.
    """
    genes = np.array([[int(d) for d in row["genotype"].split("-")[2]] for row in study.truth])
    columns = np.concatenate([np.ones((len(genes), 1)), genes == 1, genes == 2], axis=1)
    truth = 100 * study.reality.mean
    scores = {"published accuracy": [truth]}
    for name, key in {"shared loss": SINGLE, "shared loss, probed": PROBE}.items():
        scores[name] = [each.values[-1] for each in study.estimators[key]]
    body = []
    for name, own in scores.items():
        scaled = np.stack([(v - v.mean()) / v.std() * truth.std() for v in own], axis=1)
        effects = np.linalg.lstsq(columns, scaled, rcond=None)[0]
        explained = 1 - (scaled - columns @ effects).var(0) / truth.var()
        largest = effects[-genes.shape[1] :].mean(1)
        body.append([name, show(explained.mean()), *map(show, largest)])
    head = ("score", "explained", *(f"block {i + 1}" for i in range(genes.shape[1])))
    return lines(head, body)


def chosen_table(rows: list[Row]) -> str:
    """Tabulate what was chosen under each limit, by what, and how it stands in the whole table."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["limit"], row["by"]].append(row)
    body = []
    for (limit, by), own in sorted(groups.items(), key=lambda item: int(item[0][0])):
        percent = {
            key: [100 * float(row[key]) for row in own] for key in ("accuracy", "twins", "best")
        }
        places = [100 * int(row["place"]) / int(row["of"]) for row in own]
        body.append([
            show(limit, scale=1e-6, digits=1), by, str(len(own)),
            show(np.mean(percent["accuracy"])), show(percent["best"][0]),
            bounded(np.subtract(percent["accuracy"], percent["twins"]), sign="+"),
            f"{np.median(places):.1f} % ({min(places):.1f} to {max(places):.1f})",
        ])  # fmt: skip
    head = ("limit, million MAdds", "chosen by", "runs", "accuracy, %", "best up to it, %",
            "lead over all of its size (95 %)", "in the best, median and range")  # fmt: skip
    return lines(head, body)


def main() -> None:
    """Write the tables of every set that has scores."""
    truth, scores = load("table_truth"), load("table_scores")
    figures: list[dict[str, Any]] = []
    for name, page in PAGES.items():
        own = [row for row in truth if row["set"] == name]
        if not own:
            continue
        study = Study(name, own, lines_of(scores, name))
        rows, noise = ways(study), contrasts(study)
        together = ensemble_rows(study)
        if PROBE in study.estimators:
            together += ensemble_rows(study, PROBE)
        limit = {"way": "table, seed to seed", "form": "ceiling", **rounded(ceiling(study.reality))}
        figures += [{"set": name, **row} for row in (*rows, *noise, *together, limit)]
        tables = {name: table(rows), f"{name} noise": contrast_table(noise)}
        if chosen := [row for row in known("table_chosen") if row["set"] == name]:
            tables[f"{name} chosen"] = chosen_table(chosen)
            tables[f"{name} blocks"] = blocks_table(study)
        page.write_text(filled(page.read_text(), tables))
        print(f"{name}: {len(own)} networks, {len(study.lines)} hyper-networks, {page}")
    save("table_ranking", figures, machine())


if __name__ == "__main__":
    main()
