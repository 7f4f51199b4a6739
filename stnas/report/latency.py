"""How long the networks take on the devices that were measured."""

from typing import Any

import numpy as np

from stnas.report.load import Record, Row
from stnas.space.latency import LatencyTable
from stnas.store.files import read_json

OWN = ("chosen", "random")
"""Roles of networks that lie in the run's own space."""


def latencies(record: Record) -> list[Row]:
    """List the tables of latencies in the run's folder, with what they give the networks.

    networks: name and microseconds an image of the networks that lie in the run's own space.
    """
    files = sorted((record.folder / "latency").glob("*.json"))
    return [_latency(record, read_json(file)) for file in files]


def _latency(record: Record, found: dict[str, Any]) -> Row:
    """Return what the page says of one table."""
    rows: list[Any] = [r for r in record.networks if r["role"] in OWN] or record.choices
    genotypes = [record.space.parse(row["genotype"]) for row in rows]
    table = LatencyTable.from_json(found)
    times: Any = table.cost(record.space)(np.stack(genotypes)) if genotypes else []
    return {
        **{key: found[key] for key in ("backend", "program", "device", "threads", "batch")},
        "error": found["trust"]["median"],
        "correlation": found["trust"]["correlation"],
        "networks": [
            (row["name"], float(time) / 1000 / found["batch"])
            for row, time in zip(rows, times, strict=True)
        ],
    }
