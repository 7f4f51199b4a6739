"""Time the linear bottleneck beside eager PyTorch (NCHW, NHWC) and torch.compile, over all shapes.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/linear_bottleneck.py

Every distinct block shape of the profiles, all forms interleaved in one process: medians in ms,
geometric means of the factors, and a roofline plot beside the CSV. ``--stride-cases N`` takes every
N-th shape, ``--compile`` adds torch.compile (tens of seconds a shape).
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from record import RESULTS, machine, save
from torch import Tensor

from stnas.ops.linear_bottleneck import linear_bottleneck
from stnas.ops.reference import BatchNorm, BottleneckWeights
from stnas.ops.reference import linear_bottleneck as twin

Step = Callable[[], object]


class Profile(NamedTuple):
    """A search space: nodes and width of each stage, resolution of the first, candidates."""

    batch: int
    resolution: int
    stages: tuple[int, ...]
    widths: tuple[int, ...]
    expands: tuple[int, ...] = (1, 3, 6)
    kernels: tuple[int, ...] = (3, 5, 7)


PROFILES = {
    "micro": Profile(64, 32, (3, 3, 3), (8, 16, 24), (1, 2, 4)),
    "small": Profile(64, 32, (3, 4, 4), (16, 24, 32)),
    "parity": Profile(64, 32, (2, 2, 4, 8, 4), (16, 24, 32, 64, 96)),
    "imagenet": Profile(16, 112, (2, 2, 4, 8, 4), (16, 24, 32, 64, 320)),
}


class Case(NamedTuple):
    """One block shape."""

    batch: int
    c_in: int
    c_out: int
    kernel: int
    expand: int
    stride: int
    resolution: int

    @property
    def flops(self) -> int:
        """Return 2 * MAdds of the forward pass."""
        hidden, out = self.c_in * self.expand, -(-self.resolution // self.stride)
        convolutions = hidden * (
            self.c_in * self.resolution**2 + (self.kernel**2 + self.c_out) * out**2
        )
        return 2 * self.batch * (convolutions + 2 * hidden * max(1, self.c_in // 4))

    @property
    def bytes(self) -> int:
        """Return the bytes that a forward pass must move: input, output, weights."""
        out = -(-self.resolution // self.stride)
        pixels = self.c_in * self.resolution**2 + self.c_out * out**2
        hidden = self.c_in * self.expand
        return 4 * (self.batch * pixels + hidden * (self.c_in + self.c_out + self.kernel**2))


def cases(name: str) -> Iterator[Case]:
    """Yield every block of a profile: edges of distance 1, 2, 3 times the candidates."""
    profile = PROFILES[name]
    stage = [s for s, count in enumerate(profile.stages) for _ in range(count)]
    for target in range(1, len(stage)):
        for source in range(max(0, target - 3), target):
            here, there = stage[source], stage[target]
            for kernel in profile.kernels:
                for expand in profile.expands:
                    yield Case(
                        profile.batch, profile.widths[here], profile.widths[there], kernel, expand,
                        2 ** (there - here), profile.resolution >> here,
                    )  # fmt: skip


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


def make_step(form: Callable[..., Tensor], case: Case, *, nhwc: bool, training: bool) -> Step:
    """Return one call: forward and backward with batch statistics, or inference."""
    torch.manual_seed(0)
    weights, norms = make_weights(case)
    layout = torch.channels_last if nhwc else torch.contiguous_format
    out = -(-case.resolution // case.stride)
    x = torch.randn(case.batch, case.c_in, case.resolution, case.resolution)
    grad = torch.randn(case.batch, case.c_out, out, out).contiguous(memory_format=layout)
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
    """Measure the float32 GEMM ceiling (GFLOP/s) and the copy bandwidth, both ways (GB/s)."""
    a, b, big = torch.randn(1024, 1024), torch.randn(1024, 1024), torch.randn(1 << 25)
    target = torch.empty_like(big)
    steps: dict[str, Step] = {"gemm": lambda: a @ b, "copy": lambda: target.copy_(big)}
    times = medians(steps, rounds=7, seconds=0.05)
    return {"gemm": 2 * 1024**3 / times["gemm"] / 1e6, "copy": 8 * (1 << 25) / times["copy"] / 1e6}


def measure(case: Case, *, training: bool, compiled: bool, rounds: int) -> dict[str, float]:
    """Time all forms of one case."""
    steps = {
        "ours": make_step(linear_bottleneck, case, nhwc=True, training=training),
        "eager NCHW": make_step(twin, case, nhwc=False, training=training),
        "eager NHWC": make_step(twin, case, nhwc=True, training=training),
    }
    if compiled:
        torch._dynamo.reset()
        form = torch.compile(twin, dynamic=False)
        steps["compile"] = make_step(form, case, nhwc=True, training=training)
    return medians(steps, rounds=rounds, seconds=0.03)


def geometric_mean(values: list[float]) -> float:
    """Return exp(mean(log values))."""
    return math.exp(statistics.fmean(math.log(value) for value in values))


def summarise(rows: list[dict[str, object]], names: list[str]) -> None:
    """Print geometric means of peer time over ours, per profile and mode, and the worst case."""
    for mode in ("train", "infer"):
        for profile in [*PROFILES, "all"]:
            chosen = [r for r in rows if r["mode"] == mode and profile in (r["profile"], "all")]
            if not chosen:
                continue
            parts = []
            for name in [*names, "best peer"]:
                peers = names if name == "best peer" else [name]
                factors = [
                    min(float(str(r[p])) for p in peers) / float(str(r["ours"])) for r in chosen
                ]
                parts.append(f"{name} {geometric_mean(factors):.2f} (least {min(factors):.2f})")
            print(f"{mode:5} {profile:8} n={len(chosen):3}  " + "  ".join(parts))


def plot(rows: list[dict[str, object]], limits: dict[str, float], path: Path) -> None:
    """Draw GFLOP/s over arithmetic intensity with the two measured ceilings."""
    import plotly.graph_objects as go

    figure = go.Figure()
    span = [1.0, 1000.0]
    roof = [min(limits["gemm"], limits["copy"] * value) for value in span]
    knee = limits["gemm"] / limits["copy"]
    figure.add_scatter(
        x=[span[0], knee, span[1]], y=[roof[0], limits["gemm"], roof[1]], name="roof"
    )
    for mode in ("train", "infer"):
        chosen = [r for r in rows if r["mode"] == mode]
        figure.add_scatter(
            x=[r["intensity"] for r in chosen], y=[r["gflops"] for r in chosen],
            text=[str(r["case"]) for r in chosen], mode="markers", name=mode,
        )  # fmt: skip
    figure.update_xaxes(type="log", title="FLOP per byte of input, output and weights")
    figure.update_yaxes(type="log", title="GFLOP/s")
    figure.write_html(path, include_plotlyjs="cdn")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profiles", nargs="+", default=list(PROFILES), choices=list(PROFILES))
    parser.add_argument("--modes", nargs="+", default=["train", "infer"])
    parser.add_argument("--stride-cases", type=int, default=1, help="take every N-th shape")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="also time torch.compile")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    limits = ceilings()
    print(json.dumps(machine() | limits))
    rows: list[dict[str, object]] = []
    names = ["eager NCHW", "eager NHWC", *(["compile"] if options.compile else [])]
    for profile in options.profiles:
        for case in list(dict.fromkeys(cases(profile)))[:: options.stride_cases]:
            for mode in options.modes:
                training = mode == "train"
                times = measure(
                    case, training=training, compiled=options.compile, rounds=options.rounds
                )
                work = case.flops * (3 if training else 1)
                row = {"profile": profile, "mode": mode, "case": "-".join(map(str, case)), **times}
                row["gflops"] = work / times["ours"] / 1e6
                row["intensity"] = work / (case.bytes * (3 if training else 1))
                rows.append(row)
                print(
                    *(f"{v:.2f}" if isinstance(v, float) else v for v in row.values()), flush=True
                )
    save("linear_bottleneck", rows, machine() | limits)
    plot(rows, limits, RESULTS / "linear_bottleneck.html")
    summarise(rows, names)


if __name__ == "__main__":
    main()
