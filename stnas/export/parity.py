"""Whether a file computes what the network does, how well, and how fast."""

import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

TOLERANCE = 1e-3
"""Share of the greatest logit that outputs may differ by: sums in another order, in float32."""
RUNS = 50

Compute = Callable[[Tensor], Tensor]


class Parity(NamedTuple):
    """How far outputs are apart: the largest difference of two logits, and of equal answers."""

    images: int
    largest: float
    bound: float
    agreeing: int

    @property
    def holds(self) -> bool:
        """Tell whether the outputs are equal but for rounding."""
        return self.largest <= self.bound

    def __str__(self) -> str:
        """Say it in a line."""
        return (
            f"largest difference of a logit {self.largest:.2e} on {self.images} images (up to "
            f"{self.bound:.2e} is rounding), the same class for {self.agreeing} of them"
        )


def parity(expected: Tensor, found: Tensor) -> Parity:
    """Compare logits ``[N, classes]``; what is not finite differs without bound."""
    if found.shape != expected.shape:
        raise RuntimeError(
            f"the file gives logits of shape {list(found.shape)} and the network "
            f"{list(expected.shape)}: report this as a fault of stnas"
        )
    gap = (found - expected).abs()
    largest = float(gap.nan_to_num(nan=torch.inf).max())
    agreeing = int((found.argmax(1) == expected.argmax(1)).sum())
    bound = TOLERANCE * max(1.0, float(expected.abs().max()))
    return Parity(len(expected), largest, bound, agreeing)


def in_batches(compute: Compute, images: Tensor, *, size: int = 64) -> Tensor:
    """Compute many images in batches of any number: the last is smaller."""
    return torch.cat([compute(part) for part in torch.split(images, size)])


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the share of right answers."""
    return float((logits.argmax(1) == labels).double().mean())


def milliseconds(compute: Compute, images: Tensor, *, runs: int = RUNS) -> float:
    """Return the median time of a call in milliseconds, after a few that warm up."""
    for _ in range(3):
        compute(images)
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        compute(images)
        times.append(time.perf_counter() - begin)
    return 1000 * median(times)
