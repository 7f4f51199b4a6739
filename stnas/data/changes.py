"""Refuse image files that are not what they were at the start of the run."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stnas.config.data import DataConfig
from stnas.data.decode import each, listed
from stnas.data.requests import Request
from stnas.data.scan import inspect, shown_sizes, stamp


def refuse_rewritten(request: Request, config: DataConfig) -> None:
    """Raise ValueError if a file of a batch was written since the start.

    It is asked after the batch was read: what was read is then what the start has seen.
    """
    stamps = request.stamps.tolist()
    pairs = zip(request.files, stamps, strict=True)
    if any(list(stamp(file)) != known for file, known in pairs):
        refuse_changed([request], config)


def refuse_changed(
    requests: Sequence[Request], config: DataConfig, *, because: Exception | None = None
) -> None:
    """Raise ValueError that names the files of some batches that have changed, if any.

    because: what the reader said about them.
    """
    known = {
        file: (tuple(size), tuple(mark))
        for each_request in requests
        for file, size, mark in zip(
            each_request.files,
            each_request.sizes.tolist(),
            each_request.stamps.tolist(),
            strict=True,
        )
    }

    def check(file: Path) -> bool:
        (height, width), mark = known[file]
        now = shown_sizes(np.array([inspect(file)]), config)[0].tolist()
        if now != [height, width]:
            raise ValueError(f"{now[1]}x{now[0]} pixels, {width}x{height} at the start")
        if stamp(file) != mark:
            raise ValueError("written since the start")
        return True

    _, broken = each(check, list(known))
    if broken:
        raise ValueError(
            f"images must stay as they were at the start, got {len(broken)} changed:\n"
            f"{listed(broken)}\n"
            "restore these files and run the same command again"
        ) from because
