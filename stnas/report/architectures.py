"""The architectures that the page draws: side by side, layer by layer, stage by stage."""

import json
from collections import Counter
from collections.abc import Iterator
from statistics import fmean

from markupsafe import Markup

from stnas.learn.comparison import trainings
from stnas.report.drawing import Link, draw, links
from stnas.report.load import Record, Row
from stnas.space import SearchSpace

DRAWN = 40
"""Architectures that are drawn at most."""


def architectures(record: Record) -> list[Row]:
    """Draw the chosen architectures, then the random ones that were trained, then the front.

    test_accuracy: the mean of the trainings. arcs: place, operation and multiply-adds of every arc
    that is present.
    """
    tested = {
        row["genotype"]: fmean(trainings(row, record.networks))
        for row in record.networks
        if row["role"] in ("chosen", "random")
    }
    scored = {row["genotype"]: row["accuracy"] for row in (*record.archive, *record.choices)}
    drawn: dict[str, Row] = {}
    for name, row in _named(record):
        genotype = row["genotype"]
        if genotype in drawn or len(drawn) == DRAWN:
            continue
        found = record.space.parse(genotype)
        arcs = links(record.space, found)
        drawn[genotype] = {
            "name": name,
            "genotype": genotype,
            "madds": row["madds"],
            "params": row["params"],
            "accuracy": scored.get(genotype, row.get("validation_accuracy")),
            "test_accuracy": tested.get(genotype),
            "arcs": [(link.place, link.name, link.madds) for link in arcs],
            "svg": Markup(draw(record.space, found, title=f"architecture {name}")),
        }
    return list(drawn.values())


def _named(record: Record) -> Iterator[tuple[str, Row]]:
    """Yield architectures with what they are called, the most important ones first."""
    trained = {
        role: [r for r in record.networks if r["role"] == role] for role in ("chosen", "random")
    }
    yield from ((row["name"], row) for row in record.choices)
    yield from ((row["name"], row) for row in trained["chosen"])
    yield from ((row["name"], row) for row in trained["random"])
    for row in sorted(record.front, key=lambda row: row["madds"]):
        yield f"front, {row['madds']:,} multiply-adds", row


def compared(drawn: list[Row]) -> Markup:
    """Return what the page compares architectures by, as JSON inside a script element."""
    kept = ("name", "genotype", "madds", "params", "accuracy", "test_accuracy", "arcs")
    text = json.dumps([{name: row[name] for name in kept} for row in drawn])
    return Markup(text.replace("<", "\\u003c"))


def layers(record: Record) -> list[Row]:
    """List the layers of every choice, with their multiply-adds and shares."""
    found = list[Row]()
    for choice in record.choices:
        rows = record.space.madds_by_layer(record.space.parse(choice["genotype"]))
        total = max(1, sum(rows.values()))
        table = [{"name": n, "madds": madds, "share": madds / total} for n, madds in rows.items()]
        found.append({"name": choice["name"], "rows": table})
    return found


def operations(record: Record) -> list[Row]:
    """Say what every choice does in every stage, and the share of its multiply-adds there."""
    stages = range(record.space.nodes[-1].stage + 1)
    known = [links(record.space, record.space.parse(row["genotype"])) for row in record.choices]
    return [
        {
            "stage": _stage(record.space, stage),
            "cells": [_cell(record.space, arcs, stage) for arcs in known],
        }
        for stage in stages
    ]


def _stage(space: SearchSpace, stage: int) -> str:
    """Name a stage by the size of its maps."""
    node = next(node for node in space.nodes if node.stage == stage)
    return f"{node.resolution} \u00d7 {node.resolution}, {node.width} channels"


def _cell(space: SearchSpace, arcs: list[Link], stage: int) -> str:
    """Count the operations that lead into a stage's nodes: ``2 x k3e6, 1 x id: 40 %``."""
    inside = [link for link in arcs if space.nodes[link.arc.target].stage == stage]
    counts = Counter(link.name for link in inside).most_common()
    words = ", ".join(f"{count} \u00d7 {name}" for name, count in counts)
    return f"{words or 'nothing'}: {100 * sum(link.share for link in inside):.0f} %"
