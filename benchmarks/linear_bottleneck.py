"""Time the linear bottleneck beside eager PyTorch (NCHW, NHWC) and torch.compile, over all shapes.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/linear_bottleneck.py --compile-every 10

Every distinct block shape of the profiles, all forms interleaved in one process: medians in ms,
geometric means of the factors, and pictures beside the CSV: a roofline, and the factors.
``--every N`` takes every N-th shape, ``--compile-every N`` times torch.compile too on every N-th of
them (tens of seconds a shape, which the CSV tells).

``floor`` is the time that the arithmetic takes at the measured ceiling of float32 products, or the
compulsory bytes at the speed of a copy, whichever is more: no form can be faster. The backward
pass counts twice.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable

import torch
from block_shapes import BATCHES, Case, cases
from plot import Points, save_plot
from record import machine, save
from torch import Tensor

from stnas.ops.linear_bottleneck import linear_bottleneck
from stnas.ops.reference import BatchNorm, BottleneckWeights
from stnas.ops.reference import linear_bottleneck as twin

Step = Callable[[], object]
Row = dict[str, float | str]

PASSES = {"train": 3, "infer": 1}
"""Arithmetic of a mode in forward passes."""
INTENSITY = "FLOP per compulsory byte"
NEEDS = {"compile": "compile", "own float32, of bf16": "ours bf16"}


def make_weights(case: Case) -> tuple[BottleneckWeights, tuple[BatchNorm, BatchNorm, BatchNorm]]:
    """Return random weights and norms without affine parameters."""
    hidden, squeeze = case.c_in * case.expand, max(1, case.c_in // 4)
    sizes = [
        (hidden, case.c_in, 1, 1), (hidden, 1, case.kernel, case.kernel), (squeeze, hidden),
        (squeeze,), (hidden, squeeze), (hidden,), (case.c_out, hidden, 1, 1),
    ]  # fmt: skip
    weights = BottleneckWeights(
        *(torch.randn(size) / math.sqrt(math.prod(size[1:]) or 1) for size in sizes)
    )
    norms = [
        BatchNorm(None, None, torch.zeros(c), torch.ones(c)) for c in (hidden, hidden, case.c_out)
    ]
    return weights, (norms[0], norms[1], norms[2])


def make_step(
    form: Callable[..., Tensor],
    case: Case,
    *,
    nhwc: bool,
    training: bool,
    dtype: torch.dtype = torch.float32,
) -> Step:
    """Return one call: forward and backward with batch statistics, or inference."""
    torch.manual_seed(0)
    weights, norms = make_weights(case)
    weights = BottleneckWeights(*(weight.to(dtype) for weight in weights))
    layout = torch.channels_last if nhwc else torch.contiguous_format
    out = -(-case.resolution // case.stride)
    x = torch.randn(case.batch, case.c_in, case.resolution, case.resolution, dtype=dtype)
    grad = torch.randn(case.batch, case.c_out, out, out, dtype=dtype).contiguous(
        memory_format=layout
    )
    x = x.contiguous(memory_format=layout).requires_grad_(training)
    leaves = [x, *(w.requires_grad_(training) for w in weights)]
    residual = case.stride == 1 and case.c_in == case.c_out

    def call() -> Tensor:
        return form(
            x, weights, norms,
            stride=case.stride, activation="relu6", residual=residual, training=training,
        )  # fmt: skip

    def train() -> object:
        return torch.autograd.grad(call(), leaves, grad)

    return train if training else torch.no_grad()(call)


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
    }
    if not training:
        steps["ours bf16"] = make_step(
            linear_bottleneck, case, nhwc=True, training=False, dtype=torch.bfloat16
        )
    seconds = {}
    if compiled:
        torch._dynamo.reset()
        form = torch.compile(twin, dynamic=False)
        steps["compile"] = make_step(form, case, nhwc=True, training=training)
        start = time.perf_counter()
        steps["compile"]()
        seconds["compile seconds"] = time.perf_counter() - start
    times = medians(steps, rounds=rounds, seconds=0.03)
    work, moved = case.flops * PASSES[mode], case.bytes * PASSES[mode]
    floor = max(work / limits["product"], moved / limits["copy"]) / 1e6
    rates = {"floor": floor, "gflops": work / times["ours"] / 1e6, "intensity": work / moved}
    return times | seconds | rates


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
                values = [factor(r) for r in chosen if NEEDS.get(name, "ours") in r]
                if values:
                    mean = statistics.geometric_mean(values)
                    parts.append(f"{name} {mean:.2f} (least {min(values):.2f}, n {len(values)})")
            print("  ".join(parts))


def draw(rows: list[Row], limits: dict[str, float]) -> None:
    """Draw the roofline, and how much faster than the best peer each shape is."""

    def points(mode: str, profile: str, rate: Callable[[Row], float]) -> Points:
        chosen = [r for r in rows if r["mode"] == mode and profile in (r["profile"], "all")]
        return [float(row["intensity"]) for row in chosen], [rate(row) for row in chosen]

    for mode in PASSES:
        save_plot(
            f"linear_bottleneck_{mode}", log="xy", level=1, x=INTENSITY, title=mode,
            dots={p: points(mode, p, lambda row: peer(row) / float(row["ours"])) for p in BATCHES},
            y="times faster than the best peer",
        )  # fmt: skip
    knee, ends = limits["product"] / limits["copy"], (1.0, 400.0)
    roof = ([ends[0], knee, ends[1]], [ends[0] * limits["copy"], *[limits["product"]] * 2])
    rates = {m: points(m, "all", lambda row: float(row["gflops"])) for m in PASSES}
    save_plot(
        "linear_bottleneck_roofline", dots=rates, lines={"measured ceilings": roof}, log="xy",
        x=INTENSITY, y="GFLOP/s", title="one thread, float32",
    )  # fmt: skip


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profiles", nargs="+", default=list(BATCHES), choices=list(BATCHES))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--compile-every", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    limits = ceilings()
    about = machine() | limits
    print(about)
    shapes = [(p, case) for p in options.profiles for case in dict.fromkeys(cases(p))]
    rows: list[Row] = []
    for number, (profile, case) in enumerate(shapes[:: options.every]):
        compiled = options.compile_every > 0 and number % options.compile_every == 0
        for mode in PASSES:
            name = "-".join(map(str, case))
            times = measure(case, mode, limits, compiled=compiled, rounds=options.rounds)
            rows.append({"profile": profile, "mode": mode, "case": name, **times})
            print(
                *(f"{v:.3g}" if isinstance(v, float) else v for v in rows[-1].values()), flush=True
            )
    save("linear_bottleneck", rows, about)
    draw(rows, limits)
    summarise(rows)


if __name__ == "__main__":
    main()
