"""Make the tables of searches in docs/toponas.md: ``python benchmarks/cell_search_tables.py``.

It searches nothing: the cells are those that ``cell_search.py`` has committed. The tables of the
benchmark (the extra ``bench``) give what all cells are worth.
"""

from itertools import combinations
from pathlib import Path
from statistics import fmean, median

import numpy as np
from latency_gain import difference
from ranking_text import filled, lines, show
from record import Row, load

from stnas.space import SearchSpace
from stnas.store.bench import NAMES, bench_table

PAGE = Path(__file__).parents[1] / "docs" / "toponas.md"
SHOWN = {
    "none": "`none`",
    "merge": "`merge`",
    "merge-raw": "`merge`, `kernel_norm none`",
    "float": "`float`",
}
LARGEST = "333333"
RESNET = "303101"
Group = dict[int, Row]
"""Searches of one strategy and level, by seed."""


def groups(name: str) -> dict[tuple[str, str], Group]:
    """Return the committed searches of a file by strategy and level."""
    found: dict[tuple[str, str], Group] = {}
    for row in load(name):
        found.setdefault((row["strategy"], row["sharing"]), {})[int(row["seed"])] = row
    return dict(sorted(found.items()))


def points(group: Group, table: str = "cifar10") -> list[float]:
    """Return the true accuracies in per cent, in the order of the seeds."""
    return [100 * float(group[seed][table]) for seed in sorted(group)]


def listed(values: list[float]) -> str:
    """Write the mean, and each value behind it."""
    return f"{show(fmean(values))} ({', '.join(map(show, values))})"


def searches(found: dict[tuple[str, str], Group]) -> str:
    """Tabulate what each way of searching has found, and what all cells are worth."""
    head = ("strategy", "level", "seeds", "CIFAR-10, % (each seed)", "CIFAR-100, %",
            "ImageNet16-120, %", "place of 15,625, median", "entropy of a")  # fmt: skip
    body = []
    for (strategy, sharing), group in found.items():
        rows = group.values()
        body.append([
            f"`{strategy}`", SHOWN[sharing], str(len(group)), listed(points(group)),
            show(fmean(points(group, "cifar100"))), show(fmean(points(group, "imagenet16"))),
            f"{median(int(row['place']) for row in rows):,.0f}",
            show(fmean(float(row["entropy"]) for row in rows), digits=3),
        ])  # fmt: skip
    return lines(head, [*body, *beside()])


def beside() -> list[list[str]]:
    """Return rows of what needs no search, by the accuracies of the benchmark."""
    means = [{cell: fmean(values) for cell, values in bench_table(name).items()} for name in NAMES]
    order = sorted(means[0].values(), reverse=True)
    space = SearchSpace.profile("micro", family="nb201")
    useful = space.is_useful(np.stack([space.parse_digits(cell) for cell in means[0]]))
    drawn = [cell for cell, own in zip(means[0], useful, strict=True) if own]
    rows = []
    for label, cells in (
        ("a random cell, expected", drawn),
        ("most multiply-adds", [LARGEST]),
        ("ResNet", [RESNET]),
        ("best", [max(means[0], key=lambda cell: means[0][cell])]),
    ):
        each = [[table[cell] for cell in cells] for table in means]
        place = 1 + sum(value > median(each[0]) for value in order)
        rows.append([label, "", "", *(show(fmean(v)) for v in each), f"{place:,}", ""])
    return rows


def differences(found: dict[tuple[str, str], Group]) -> str:
    """Tabulate what sharing changes in the cell of a seed, and how far cells agree."""
    head = ("strategy", "level against `none`", "seeds", "CIFAR-10, points (95 %)",
            "edges that agree with `none`", "between seeds")  # fmt: skip
    body = []
    for (strategy, sharing), group in found.items():
        plain = found.get((strategy, "none"), {})
        seeds = sorted(set(group) & set(plain))
        own = [show(agreement(list(combinations((r["cell"] for r in group.values()), 2))))]
        if sharing == "none" or len(seeds) < 2:
            body.append([f"`{strategy}`", SHOWN[sharing], str(len(group)), "", "", *own])
            continue
        gains = [100 * (float(group[s]["cifar10"]) - float(plain[s]["cifar10"])) for s in seeds]
        pairs = [(group[s]["cell"], plain[s]["cell"]) for s in seeds]
        body.append([
            f"`{strategy}`", SHOWN[sharing], str(len(seeds)),
            difference(np.array(gains), 2),
            show(agreement(pairs)), *own,
        ])  # fmt: skip
    return lines(head, body)


def trained(found: dict[tuple[str, str], Group]) -> str:
    """Tabulate what cells of DARTS reach beside random cells of their multiply-adds."""
    head = ("strategy", "level", "seeds", "million MAdds", "cell, % (each seed)", "random, %",
            "lead, points (95 %)", "lead over `none`, points (95 %)", "entropy of a")  # fmt: skip
    body = []
    for (strategy, sharing), group in found.items():
        own, plain = leads(group), leads(found[strategy, "none"])
        seeds = sorted(set(own) & set(plain))
        gains = np.array([own[seed] - plain[seed] for seed in seeds])
        rows = group.values()
        body.append([
            f"`{strategy}`", SHOWN[sharing], str(len(group)),
            show(fmean(int(row["madds"]) for row in rows), scale=1e-6),
            listed(points(group, "accuracy")),
            show(fmean(points(group, "random_1"))),
            difference(np.array(list(own.values())), 2),
            "" if sharing == "none" else difference(gains, 2),
            show(fmean(float(row["entropy"]) for row in rows), digits=3),
        ])  # fmt: skip
    return lines(head, body)


def leads(group: Group) -> dict[int, float]:
    """Return by how many points the cell of each seed is better than the random one beside it."""
    return {s: 100 * (float(r["accuracy"]) - float(r["random_1"])) for s, r in group.items()}


def agreement(pairs: list[tuple[str, str]]) -> float | None:
    """Return the share of edges with one operation in both genotypes of a pair; None for none."""
    digits = [(a.split("-")[2], b.split("-")[2]) for a, b in pairs]
    same = [x == y for a, b in digits for x, y in zip(a, b, strict=True)]
    return fmean(same) if same else None


def main() -> None:
    """Write the tables."""
    found, darts = groups("cell_search"), groups("cell_search_darts")
    tables = {
        "searches": searches(found), "levels": differences(found), "darts": trained(darts),
    }  # fmt: skip
    PAGE.write_text(filled(PAGE.read_text(), tables))
    print(f"{sum(map(len, [*found.values(), *darts.values()]))} searches: {PAGE}")


if __name__ == "__main__":
    main()
