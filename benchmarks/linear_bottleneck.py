"""Time the linear bottleneck beside eager PyTorch (NCHW, NHWC) and torch.compile, over all shapes.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/linear_bottleneck.py --every 2 --compile-every 3

Every distinct block shape of the profiles, all forms interleaved in one process: medians in ms,
geometric means of the factors, and pictures beside the CSV (``--table`` names them, such as for
another processor): a roofline, and the factors.
``--every N`` takes every N-th shape, ``--compile-every N`` times torch.compile too on every N-th of
them. Compiling takes seconds a shape: ``--compile-only`` does nothing else, prints the seconds and
leaves the rest to a later run, which finds the code in torch's cache.

``floor`` is the time that the arithmetic takes at the measured ceiling of float32 products, or the
compulsory bytes at the speed of a copy, whichever is more: no form can be faster. The backward
pass counts twice.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from block_shapes import BATCHES, Case, cases
from block_steps import Step, compiled_step, make_step
from plot import Points, save_plot
from record import machine, save

from stnas.ops.bottleneck.block import linear_bottleneck
from stnas.ops.bottleneck.reference import linear_bottleneck as twin

Row = dict[str, float | str]

PASSES = {"train": 3, "infer": 1}
"""Arithmetic of a mode in forward passes."""
INTENSITY = "FLOP per compulsory byte"


def medians(steps: dict[str, Step], *, rounds: int, seconds: float) -> dict[str, float]:
    """Return the median ms of each step, the steps interleaved over ``rounds``."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
        step()
    for _ in range(rounds):
        for name, step in steps.items():
            start, count = time.perf_counter(), 0
            while count == 0 or time.perf_counter() - start < seconds:
                step()
                count += 1
            times[name].append((time.perf_counter() - start) / count * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def ceilings() -> dict[str, float]:
    """Measure float32 products (GFLOP/s: the best of a matrix product, a 1x1 convolution and our
    own largest block) and the bandwidth of a copy, both ways (GB/s).
    """
    a, b, big = torch.randn(1024, 1024), torch.randn(1024, 1024), torch.randn(1 << 25)
    image = torch.randn(16, 256, 28, 28).contiguous(memory_format=torch.channels_last)
    kernel = torch.randn(256, 256, 1, 1).contiguous(memory_format=torch.channels_last)
    target = torch.empty_like(big)
    block = Case(64, 64, 64, 7, 6, 1, 4)
    steps: dict[str, Step] = {
        "matrix": lambda: a @ b,
        "convolution": lambda: torch.nn.functional.conv2d(image, kernel),
        "block": make_step(linear_bottleneck, block, nhwc=True, training=False),
        "copy": lambda: target.copy_(big),
    }
    times = medians(steps, rounds=7, seconds=0.05)
    work = {"matrix": 2 * 1024**3, "convolution": 2 * 16 * 784 * 256**2, "block": block.flops}
    rates = {name: flops / times[name] / 1e6 for name, flops in work.items()}
    return rates | {"product": max(rates.values()), "copy": 8 * big.numel() / times["copy"] / 1e6}


def measure(
    case: Case, mode: str, limits: dict[str, float], *, compiled: bool, rounds: int
) -> dict[str, float]:
    """Time all forms of one case, and add its floor."""
    training = mode == "train"
    steps = {
        "ours": make_step(linear_bottleneck, case, nhwc=True, training=training),
        "eager NCHW": make_step(twin, case, nhwc=False, training=training),
        "eager NHWC": make_step(twin, case, nhwc=True, training=training),
        "ours bf16": make_step(
            linear_bottleneck, case, nhwc=True, training=training, dtype=torch.bfloat16
        ),
    }
    if compiled:
        steps["compile"] = compiled_step(case, training=training)
    times = medians(steps, rounds=rounds, seconds=0.03)
    work, moved = case.flops * PASSES[mode], case.bytes * PASSES[mode]
    floor = max(work / limits["product"], moved / limits["copy"]) / 1e6
    rates = {"floor": floor, "gflops": work / times["ours"] / 1e6, "intensity": work / moved}
    return times | rates


def compile_ahead(shapes: list[tuple[str, Case]]) -> None:
    """Compile every shape, and print how long each took."""
    for profile, case in shapes:
        for mode in PASSES:
            step = compiled_step(case, training=mode == "train")
            start = time.perf_counter()
            step()
            print(profile, mode, name_of(case), f"{time.perf_counter() - start:.1f} s", flush=True)


def name_of(case: Case) -> str:
    """Return the case's fields, joined."""
    return "-".join(map(str, case))


def peer(row: Row, names: tuple[str, ...] = ("eager NCHW", "eager NHWC", "compile")) -> float:
    """Return the time of the fastest peer that was timed."""
    return min(float(row[name]) for name in names if name in row)


def summarise(rows: list[Row]) -> None:
    """Print geometric means (and the least) of a peer's time over ours and over the floor."""
    forms: dict[str, Callable[[Row], float]] = {
        "better eager": lambda row: peer(row, ("eager NCHW", "eager NHWC")) / float(row["ours"]),
        "compile": lambda row: float(row["compile"]) / float(row["ours"]),
        "own float32, of bf16": lambda row: float(row["ours"]) / float(row["ours bf16"]),
        "best peer": lambda row: peer(row) / float(row["ours"]),
        "best peer over floor": lambda row: peer(row) / float(row["floor"]),
    }
    for mode in PASSES:
        for profile in [*BATCHES, "all"]:
            chosen = [r for r in rows if r["mode"] == mode and profile in (r["profile"], "all")]
            parts = [f"{mode:5} {profile:8}"]
            for name, factor in forms.items():
                values = [factor(r) for r in chosen if name != "compile" or name in r]
                if values:
                    mean = statistics.geometric_mean(values)
                    parts.append(f"{name} {mean:.2f} (least {min(values):.2f}, n {len(values)})")
            print("  ".join(parts))


def draw(rows: list[Row], limits: dict[str, float], table: str) -> None:
    """Draw the roofline, and how much faster than the best peer each shape is."""

    def points(mode: str, profile: str, rate: Callable[[Row], float]) -> Points:
        chosen = [r for r in rows if r["mode"] == mode and profile in (r["profile"], "all")]
        return [float(row["intensity"]) for row in chosen], [rate(row) for row in chosen]

    for mode in PASSES:
        save_plot(
            f"{table}_{mode}", log="xy", level=1, x=INTENSITY, title=mode,
            dots={p: points(mode, p, lambda row: peer(row) / float(row["ours"])) for p in BATCHES},
            y="times faster than the best peer",
        )  # fmt: skip
    knee, ends = limits["product"] / limits["copy"], (1.0, 400.0)
    roof = ([ends[0], knee, ends[1]], [ends[0] * limits["copy"], *[limits["product"]] * 2])
    rates = {m: points(m, "all", lambda row: float(row["gflops"])) for m in PASSES}
    save_plot(
        f"{table}_roofline", dots=rates, lines={"measured ceilings": roof}, log="xy",
        x=INTENSITY, y="GFLOP/s", title="one thread, float32",
    )  # fmt: skip


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profiles", nargs="+", default=list(BATCHES), choices=list(BATCHES))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--compile-every", type=int, default=0)
    parser.add_argument("--compile-only", action="store_true")
    parser.add_argument("--table", default="linear_bottleneck", metavar="NAME")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shapes = [(p, case) for p in options.profiles for case in dict.fromkeys(cases(p))]
    shapes = shapes[:: options.every]
    chosen = shapes[:: options.compile_every] if options.compile_every else []
    if options.compile_only:
        compile_ahead(chosen)
        return
    limits = ceilings()
    about = machine() | limits
    print(about)
    rows: list[Row] = []
    for profile, case in shapes:
        compiled = (profile, case) in chosen
        for mode in PASSES:
            times = measure(case, mode, limits, compiled=compiled, rounds=options.rounds)
            rows.append({"profile": profile, "mode": mode, "case": name_of(case), **times})
            print(
                *(f"{v:.3g}" if isinstance(v, float) else v for v in rows[-1].values()), flush=True
            )
    save(options.table, rows, about)
    draw(rows, limits, options.table)
    summarise(rows)


if __name__ == "__main__":
    main()
