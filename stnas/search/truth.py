"""What public tables know of a chosen cell: its accuracy after a training of its own."""

from collections.abc import Sequence
from statistics import fmean

from stnas.space import SearchSpace
from stnas.space.genotype import gene_digits
from stnas.store.bench import NAMES, SHOWN, bench_table
from stnas.store.results import TruthRow


def truths(space: SearchSpace, genotype: str) -> list[TruthRow]:
    """Return what each table of NAS-Bench-201 has of a cell; none for cells of other spaces.

    Raises FileNotFoundError where the tables are not there.
    """
    if space.recipe.get("family") != "nb201":
        return []
    return [truth(name, gene_digits(space.parse(genotype))) for name in NAMES]


def truth(name: str, digits: str) -> TruthRow:
    """Hold a cell against all cells of a table, by their mean accuracies in [0, 1]."""
    means = {key: fmean(values) / 100 for key, values in bench_table(name).items()}
    own = means[digits]
    return {
        "table": name,
        "accuracy": own,
        "best": max(means.values()),
        "median": sorted(means.values())[len(means) // 2],
        "place": 1 + sum(other > own for other in means.values()),
        "cells": len(means),
    }


def told(rows: Sequence[TruthRow]) -> list[str]:
    """Say in lines what tables know of a cell."""
    return [
        f"{SHOWN[row['table']]} by NAS-Bench-201, 200 epochs, validation: "
        f"{100 * row['accuracy']:.2f} %, place {row['place']:,} of {row['cells']:,} cells (best "
        f"{100 * row['best']:.2f} %, median {100 * row['median']:.2f} %)"
        for row in rows
    ]
