"""Time the shuffle block beside eager PyTorch (NCHW, NHWC) and torch.compile, over all shapes.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/shuffle_block.py --compile-every 12

Every distinct block of the profiles of ``spos``, all forms in turn in one process: medians of the
processor's time in ms, which other work on the machine hardly moves, with wall time beside it; and
geometric means of the factors. ``--compile-every N`` times torch.compile too on every N-th shape:
compiling takes some ten seconds each. The compiled form reads channels_last, too.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from record import machine, save
from torch import Tensor

from stnas.ops.layers.reference import BatchNorm
from stnas.ops.shuffle.block import shuffle_block
from stnas.ops.shuffle.reference import ShuffleWeights
from stnas.ops.shuffle.reference import shuffle_block as twin
from stnas.space.spos import KINDS, PROFILES, ChoiceBlock, Pass, block

BATCHES = {"micro": 64, "small": 64, "imagenet": 16}
MODES = ("train", "infer")

Row = dict[str, float | str]
Step = Callable[[], object]


class Case(NamedTuple):
    """One block at a batch size."""

    batch: int
    kind: str
    part: ChoiceBlock

    @property
    def name(self) -> str:
        """Return batch, kind, channels, stride and pixels a side, joined."""
        part = self.part
        shape = (part.in_channels, part.out_channels, part.stride, part.in_size)
        return "-".join(map(str, (self.batch, self.kind, *shape)))


def cases(profile: str) -> Iterator[Case]:
    """Yield every distinct block of a profile."""
    spec = PROFILES[profile]
    before, size = spec.stem_width, -(-spec.image_size // spec.stem_stride)
    for width in spec.widths:
        for stride in (2, 1):
            for kind in KINDS:
                yield Case(BATCHES[profile], kind, block(kind, before, width, stride, size))
            before, size = width, -(-size // stride)


def make_weights(passes: tuple[Pass, ...]) -> tuple[Tensor, ...]:
    """Draw the weights of a head."""
    sizes = [(p.after, 1 if p.depthwise else p.before, p.kernel, p.kernel) for p in passes]
    return tuple(torch.randn(size) / math.sqrt(math.prod(size[1:])) for size in sizes)


def make_step(form: Callable[..., Tensor], case: Case, *, nhwc: bool, training: bool) -> Step:
    """Return one call: forward and backward with batch statistics, or inference."""
    torch.manual_seed(0)
    part = case.part
    weights = ShuffleWeights(make_weights(part.main), make_weights(part.projection))
    flat = [weight.requires_grad_(training) for head in weights for weight in head]
    norms = [BatchNorm(None, None, torch.zeros(len(w)), torch.ones(len(w))) for w in flat]
    if training:
        norms = [BatchNorm() for _ in flat]
    layout = torch.channels_last if nhwc else torch.contiguous_format
    x = torch.randn(case.batch, part.in_channels, part.in_size, part.in_size)
    grad = torch.randn(case.batch, part.out_channels, part.out_size, part.out_size)
    x = x.contiguous(memory_format=layout).requires_grad_(training)
    grad = grad.contiguous(memory_format=layout)

    def call() -> Tensor:
        return form(x, weights, norms, stride=part.stride, training=training)

    def train() -> object:
        return torch.autograd.grad(call(), [x, *flat], grad)

    return train if training else torch.no_grad()(call)


def medians(steps: dict[str, Step], *, rounds: int, seconds: float) -> dict[str, float]:
    """Return the median ms of each step, of the processor's time and of the wall's."""
    times: dict[str, list[float]] = {
        f"{name}{kind}": [] for name in steps for kind in ("", " wall")
    }
    for step in steps.values():
        step()
        step()
    for _ in range(rounds):
        for name, step in steps.items():
            start, wall, count = time.process_time(), time.perf_counter(), 0
            while count == 0 or time.process_time() - start < seconds:
                step()
                count += 1
            times[name].append((time.process_time() - start) / count * 1e3)
            times[f"{name} wall"].append((time.perf_counter() - wall) / count * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def measure(case: Case, mode: str, *, compiled: bool, rounds: int) -> dict[str, float]:
    """Time all forms of one case."""

    def make(form: Callable[..., Tensor], *, nhwc: bool) -> Step:
        return make_step(form, case, nhwc=nhwc, training=mode == "train")

    steps = steps_of(make, shuffle_block, twin, compiled=compiled)
    return medians(steps, rounds=rounds, seconds=0.03)


def steps_of(
    make: Callable[..., Step], ours: Callable[..., object], twin: Callable[..., object], *,
    compiled: bool,
) -> dict[str, Step]:  # fmt: skip
    """Return the steps to compare, as ``make(form, nhwc=...)`` makes them of ours and its twin.

    compiled: torch.compile's form of the twin is one of them.
    """
    steps = {
        "ours": make(ours, nhwc=True),
        "eager NCHW": make(twin, nhwc=False),
        "eager NHWC": make(twin, nhwc=True),
    }
    if compiled:
        torch._dynamo.reset()
        steps["compile"] = make(torch.compile(twin, dynamic=False), nhwc=True)
    return steps


FORMS = {
    "eager NCHW": ("eager NCHW",),
    "eager NHWC": ("eager NHWC",),
    "better eager": ("eager NCHW", "eager NHWC"),
    "compile": ("compile",),
}
"""What is compared with ours: the least time of these."""


def factors(rows: list[Row]) -> str:
    """Return geometric means (and the least) of a peer's time over ours, each over n cases."""
    parts = []
    for form, names in FORMS.items():
        values = [
            min(float(r[name]) for name in names) / float(r["ours"]) for r in rows if names[0] in r
        ]
        if values:
            mean = statistics.geometric_mean(values)
            parts.append(f"{form} {mean:.2f} (least {min(values):.2f}, n {len(values)})")
    return "  ".join(parts)


def summarise(rows: list[Row]) -> None:
    """Print the factors of every mode and profile."""
    for mode in MODES:
        for profile in [*BATCHES, "all"]:
            chosen = [r for r in rows if r["mode"] == mode and profile in (r["profile"], "all")]
            print(f"{mode:5} {profile:8}", factors(chosen), sep="  ")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profiles", nargs="+", default=list(BATCHES), choices=list(BATCHES))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--compile-every", type=int, default=0)
    parser.add_argument("--table", default="shuffle_block", metavar="NAME")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shapes = [(profile, case) for profile in options.profiles for case in cases(profile)]
    shapes = shapes[:: options.every]
    chosen = shapes[:: options.compile_every] if options.compile_every else []
    about = machine() | {"unit": "ms of processor time, and of wall time on a busy machine"}
    print(about)
    rows: list[Row] = []
    for profile, case in shapes:
        for mode in MODES:
            compiled = (profile, case) in chosen
            times = measure(case, mode, compiled=compiled, rounds=options.rounds)
            rows.append({"profile": profile, "mode": mode, "case": case.name, **times})
            print(
                *(f"{v:.3g}" if isinstance(v, float) else v for v in rows[-1].values()), flush=True
            )
            save(options.table, rows, about)
    summarise(rows)


if __name__ == "__main__":
    main()
