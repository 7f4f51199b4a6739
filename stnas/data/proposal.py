"""Propose the size that images of several sizes are scaled to."""

import logging

import numpy as np

from stnas.config.data import DataConfig
from stnas.data.order import Indices

STEP = 8
"""Proposals are multiples of it, so that halved resolutions are whole."""
MOST = 64
"""Greatest proposal: what a search on a processor has time for."""
_LOG = logging.getLogger(__name__)


def proposed_size(sizes: Indices) -> int:
    """Return the side that fits images of (height, width) ``[n, 2]``.

    Half of the images are at least as large, and it is a multiple of 8 from 8 to 64.
    """
    median = int(np.quantile(sizes.min(axis=1), 0.5, method="lower"))
    return min(max(median // STEP * STEP, STEP), MOST)


def advice(sizes: Indices) -> str:
    """Say which size to set, and up to which one nothing is enlarged."""
    least = int(sizes.min())
    return (
        f"set --data.image_size {proposed_size(sizes)}, or another, which scales all "
        f"(up to {least} none is enlarged)"
    )


def settled_size(sizes: Indices, config: DataConfig) -> int | None:
    """Return what ``data.image_size`` stands for; None: images stay as they are.

    ``auto`` keeps images that are square and alike, and says a line about a size that it proposes.
    """
    if config.image_size != "auto":
        return config.image_size
    alike = bool((sizes == sizes[0, 0]).all())
    if alike:
        return int(sizes[0, 0]) if config.streamed else None
    size = proposed_size(sizes)
    shorter = sizes.min(axis=1)
    _LOG.warning(
        "data.image_size auto: the images' shorter sides have %d to %d pixels, so they are scaled "
        "to %dx%d; for another size set --data.image_size in a new run",
        shorter.min(),
        shorter.max(),
        size,
        size,
    )
    return size
