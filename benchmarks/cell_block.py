"""Time half a separable convolution beside eager PyTorch (NCHW, NHWC) and torch.compile.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/cell_block.py --compile-every 5

Every distinct half that the hyper-networks of ``darts`` compute at the levels ``merge`` and
``float``: forward and backward with batch statistics, all forms in turn in one process; medians of
the processor's time in ms, with wall time beside it, and geometric means of the factors. floor: ms
that the multiply-adds take at ``--gflops``, three times those of the forward pass.
"""

import argparse
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from record import machine, save
from shuffle_block import Row, Step, factors, medians, steps_of
from torch import Tensor

from stnas.ops.separable.half import relu_dw_pw_bn
from stnas.ops.separable.reference import Term
from stnas.ops.separable.reference import relu_dw_pw_bn as twin
from stnas.space import SearchSpace
from stnas.space.cells.sharing import Group, Module, rewrite
from stnas.supernet.mixture.separable import is_separable

BATCHES = {"micro": 16, "small": 16}
LEVELS = ("merge", "float")


class Case(NamedTuple):
    """A half at a batch size; size: pixels a side of the result."""

    batch: int
    before: int
    after: int
    size: int
    terms: tuple[tuple[int, int, int], ...]
    """Kernel, stride and grid of each."""

    @property
    def name(self) -> str:
        """Return batch, channels, pixels a side and terms, joined."""
        terms = ["x".join(map(str, term)) for term in self.terms]
        return "-".join(map(str, (self.batch, self.before, self.after, self.size, *terms)))

    @property
    def madds(self) -> int:
        """Return the multiply-adds of the forward pass."""
        taps = sum(kernel**2 for kernel, *_ in self.terms)
        return self.batch * self.size**2 * self.before * (taps + self.after)


def cases(profile: str) -> list[Case]:
    """List every distinct half of a profile."""
    space = SearchSpace.profile(profile, family="darts")
    assert space.mixture is not None
    found = [
        case
        for level in LEVELS
        for edge in space.mixture.edges
        for group in rewrite(edge.sequences, level)
        if is_separable(group)
        for case in halves(group, BATCHES[profile])
    ]
    return list(dict.fromkeys(found))


def halves(group: Group, batch: int) -> Iterator[Case]:
    """Yield the halves of a group, the last with the terms of all branches."""
    last = list[Module]()
    for branch in group.branches:
        modules = [max(link.modules, key=lambda m: m.kernel) for link in branch.links]
        places = [n for n, module in enumerate(modules) if module.kind == "depthwise"]
        for place in places[:-1]:
            yield case_of([modules[place]], modules[place + 1], batch)
        last.append(modules[places[-1]])
        ends = group.tail or modules[-2:]
    yield case_of(last, ends[0], batch)


def case_of(terms: list[Module], pointwise: Module, batch: int) -> Case:
    """Return the case of some depthwise modules and the 1x1 behind them."""
    kinds = tuple((m.kernel, m.stride, m.grid) for m in terms)
    return Case(batch, pointwise.before, pointwise.after, math.isqrt(pointwise.pixels), kinds)


def make_step(form: Callable[..., Tensor], case: Case, *, nhwc: bool) -> Step:
    """Return one call: forward and backward."""
    torch.manual_seed(0)
    layout = torch.channels_last if nhwc else torch.contiguous_format
    terms, width = list[Term](), case.before
    for kernel, stride, grid in case.terms:
        side = case.size * stride
        x = torch.randn(case.batch, width, side, side).contiguous(memory_format=layout)
        weight = torch.randn(width, 1, kernel, kernel) / kernel
        terms.append(Term(x.requires_grad_(), weight.requires_grad_(), stride, grid))
    pointwise = (torch.randn(case.after, width, 1, 1) / width**0.5).requires_grad_()
    scale = torch.tensor(0.5)
    grad = torch.randn(case.batch, case.after, case.size, case.size)
    grad = grad.contiguous(memory_format=layout)
    leaves = [pointwise, *(t.x for t in terms), *(t.kernel for t in terms if t.kernel is not None)]
    return lambda: torch.autograd.grad(form(terms, pointwise, scale=scale), leaves, grad)


def measure(case: Case, *, compiled: bool, rounds: int) -> dict[str, float]:
    """Time all forms of one case."""
    make = partial(make_step, case=case)
    steps = steps_of(make, relu_dw_pw_bn, twin, compiled=compiled)
    return medians(steps, rounds=rounds, seconds=0.02)


def summarise(rows: list[Row]) -> None:
    """Print the factors of every profile."""
    for profile in [*BATCHES, "all"]:
        chosen = [r for r in rows if profile in (r["profile"], "all")]
        print(f"{profile:6}", factors(chosen), sep="  ")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profiles", nargs="+", default=list(BATCHES), choices=list(BATCHES))
    parser.add_argument("--compile-every", type=int, default=0)
    parser.add_argument("--gflops", type=float, default=110.0)
    parser.add_argument("--table", default="cell_block", metavar="NAME")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    about = machine() | {"unit": "ms of processor time, and of wall time on a busy machine"}
    print(about)
    rows: list[Row] = []
    for profile in options.profiles:
        for number, case in enumerate(cases(profile)):
            compiled = options.compile_every > 0 and number % options.compile_every == 0
            times = measure(case, compiled=compiled, rounds=options.rounds)
            floor = 3 * 2 * case.madds / options.gflops / 1e6
            rows.append({"profile": profile, "case": case.name, "floor": floor, **times})
            print(
                *(f"{v:.3g}" if isinstance(v, float) else v for v in rows[-1].values()), flush=True
            )
            save(options.table, rows, about)
    summarise(rows)


if __name__ == "__main__":
    main()
