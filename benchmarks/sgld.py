"""Time the SGLD step beside torch._foreach_* with randn_like, and beside its floors, on one thread.

    OMP_NUM_THREADS=1 python benchmarks/sgld.py

Every row is the median of interleaved rounds, in milliseconds, on the same tensors. The step is
compared with the larger of two floors. ``copy``: the bytes that it moves (read w and g, write w) at
the speed of a copy; a copy of one tensor to another is timed, which occupies the same caches and
moves two thirds of the bytes, and taken 1.5 times. ``philox``: the 32-bit words alone, one for each
element, written in order by the same vectors. Each system is called twice in a row, and the second
call is timed, so that no one pays for the caches that another filled.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from draw import draw
from record import machine, save

from stnas.ops.sgld import sgld_step_

ROUNDS, SECONDS = 9, 2.0
COLUMNS = ("stnas", "foreach", "copy", "philox", "times_foreach", "times_floor")


@dataclass(frozen=True)
class Case:
    """The step on tensors of these sizes; temperature 0 draws nothing."""

    name: str
    sizes: tuple[int, ...]
    temperature: float


def block(channels: int, expand: int) -> tuple[int, ...]:
    """Return the sizes of the weights of one SE linear bottleneck with 5x5 kernels."""
    hidden, squeeze = channels * expand, max(1, channels // 4)
    ends = channels * hidden
    return (ends, hidden * 25, squeeze * hidden, squeeze, squeeze * hidden, hidden, ends)


def active_weights() -> tuple[int, ...]:
    """Return the sizes that one architecture of the paper's space moves in a step: about 2 M."""
    widths = [16] * 6 + [24] * 6 + [32] * 12 + [64] * 12
    blocks = [size for width in widths for size in block(width, 6)]
    return (*blocks, 1280 * 320, 1000 * 1280)


CASES = [
    Case("sgld/one tensor of 4 M", (1 << 22,), 1.0),
    Case("sgld/one tensor of 256 k", (1 << 18,), 1.0),
    Case("sgld/the active weights", active_weights(), 1.0),
    Case("sgd/one tensor of 4 M", (1 << 22,), 0.0),
    Case("sgd/the active weights", active_weights(), 0.0),
]


def foreach_step_(params: list[torch.Tensor], grads: list[torch.Tensor], scale: float) -> None:
    """Make the same update with PyTorch's multi-tensor operations."""
    torch._foreach_mul_(params, 1 - 1e-3 * 1e-4)
    torch._foreach_add_(params, grads, alpha=-1e-3)
    if scale:
        torch._foreach_add_(params, [torch.randn_like(p) for p in params], alpha=scale)


def systems(case: Case) -> dict[str, Callable[[], None]]:
    """Make the ways to do the step, each on tensors of its own, and its floors."""
    tensors = {
        name: [torch.randn(size) for size in case.sizes] for name in ("ours", "theirs", "grads")
    }
    count = sum(case.sizes)
    source, target = torch.randn(count), torch.empty(count)
    words = torch.empty(count, dtype=torch.int32)
    ids = list(range(len(case.sizes)))
    options = {"weight_decay": 1e-4, "mode": "posterior", "num_data": 1000, "ids": ids, "seed": 1}
    scale = (2e-3 * case.temperature / 1000) ** 0.5
    made: dict[str, Callable[[], None]] = {
        "stnas": lambda: sgld_step_(
            tensors["ours"],
            tensors["grads"],
            lr=1e-3,
            temperature=case.temperature,
            step=1,
            **options,
        ),
        "foreach": lambda: foreach_step_(tensors["theirs"], tensors["grads"], scale),
        "copy": lambda: _discard(target.copy_(source)),
    }

    if scale:
        made["philox"] = lambda: torch.ops.stnas.random_words_(words, 1, 2, 3, 0)
    return made


def _discard(_: torch.Tensor) -> None:
    """Drop a result."""


def measure(case: Case) -> dict[str, str]:
    """Time every system of a case, one after the other in every round."""
    made = systems(case)
    times: dict[str, list[float]] = {name: [] for name in made}
    end = time.perf_counter() + SECONDS
    while len(times["stnas"]) < ROUNDS or time.perf_counter() < end:
        for name, work in made.items():
            work()
            start = time.perf_counter()
            work()
            times[name].append((time.perf_counter() - start) * 1e3)
    medians = {name: statistics.median(values) for name, values in times.items()}
    medians["copy"] *= 1.5
    floor = max(medians["copy"], medians.get("philox", 0.0))
    row = {"case": case.name} | {name: f"{value:.4f}" for name, value in medians.items()}
    row["times_foreach"] = f"{medians['foreach'] / medians['stnas']:.2f}"
    row["times_floor"] = f"{medians['stnas'] / floor:.2f}"
    return row


def main() -> None:
    """Print and save the table, in milliseconds, and draw it."""
    torch.set_num_threads(1)
    about = machine()
    print(about, f"{'case':<28}" + "".join(f"{name:>15}" for name in COLUMNS), sep="\n")
    rows = []
    for case in CASES:
        rows.append({"case": case.name, **measure(case)})
        cells = "".join(f"{rows[-1].get(name, '-'):>15}" for name in COLUMNS)
        print(f"{case.name:<28}{cells}", flush=True)
    save("sgld", rows, about)
    draw("sgld")


if __name__ == "__main__":
    main()
