"""Time the operators of cells beside eager PyTorch (NCHW, NHWC) and torch.compile.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/mixture.py --compile-every 3

The cells of ``nb201`` at the shapes of its profiles' stages and at wider ones: ``mixed_cell`` with
merged kernels and with both, ``merged_kernels``, ``halving_block``; and of ``darts`` some halves of
separable convolutions, both pools of a node and its sum. Forward alone and with backward, all forms
in turn in one process that keeps freed pages, as training does; medians of the processor's time in
ms, with wall time beside it, and geometric means of the factors. The compiled form reads
channels_last, too.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from record import machine, save
from shuffle_block import FORMS, Row, Step, factors, medians, steps_of
from torch import Tensor

from stnas import ops
from stnas.learn.heap import keep_pages
from stnas.ops.mixture import reference
from stnas.ops.separable import reference as separable
from stnas.ops.separable.half import relu_dw_pw_bn
from stnas.ops.separable.reference import Term

LAST = torch.channels_last
STAGES = [
    (16, 8, 32), (16, 16, 16), (16, 32, 8), (64, 16, 32), (64, 32, 16), (64, 64, 8),
    (16, 12, 20), (16, 128, 8),
]  # fmt: skip
"""Images, channels and pixels a side: of micro, of paper, and two others."""

MODES = ("forward", "both")


class Case(NamedTuple):
    """Two forms of an operator with their arguments.

    tensors: what has a gradient. call: of a form and tensors.
    """

    operator: str
    name: str
    forms: tuple[Callable[..., Any], Callable[..., Any]]
    tensors: Callable[[], list[Tensor]]
    call: Callable[..., Any]


def cases() -> Iterator[Case]:
    """Yield all cases, operator by operator."""
    for sizes in ((3,), (1, 3)):
        for stage in STAGES:
            yield cell(*stage, sizes)
    for _, channels, _ in STAGES:
        yield merged(channels)
    for stage in STAGES:
        yield halving(*stage)
    for batch, channels, side in STAGES[:5]:
        for kernel, grid in ((3, 1), (5, 1), (5, 2)):
            yield half(batch, channels, side, kernel, grid)
    for stage in STAGES[:5]:
        yield pools(*stage)


def name_of(*words: object) -> str:
    """Join the numbers of a case."""
    return "-".join(map(str, words))


def cell(batch: int, channels: int, side: int, sizes: tuple[int, ...]) -> Case:
    """Return a cell of three nodes and six edges with kernels of some sizes."""

    def tensors() -> list[Tensor]:
        shapes = [(edges * channels, channels, k, k) for edges in (3, 2, 1) for k in sizes]
        kernels = [torch.randn(s) / s[1] ** 0.5 / s[2] for s in shapes]
        return [torch.randn(batch, channels, side, side), torch.rand(6, 2 + len(sizes)), *kernels]

    def call(form: Any, x: Tensor, shares: Tensor, *flat: Tensor) -> Any:
        each = len(sizes)
        return form(x, [flat[i * each : (i + 1) * each] for i in range(3)], shares)

    name = name_of(batch, channels, side, "+".join(map(str, sizes)))
    return Case("mixed_cell", name, (ops.mixed_cell, reference.mixed_cell), tensors, call)


def merged(channels: int) -> Case:
    """Return the kernels of a cell's six edges, 1x1 and 3x3."""

    def tensors() -> list[Tensor]:
        return [torch.rand(6, 2), *(torch.randn(channels, channels, k, k) for k in (1, 3) * 6)]

    def call(form: Any, shares: Tensor, *flat: Tensor) -> Any:
        pairs = [flat[2 * i : 2 * i + 2] for i in range(6)]
        return form(pairs, shares, size=3, normalise=True)

    forms = ops.merged_kernels, reference.merged_kernels
    return Case("merged_kernels", name_of(channels), forms, tensors, call)


def halving(batch: int, channels: int, side: int) -> Case:
    """Return the block behind a stage."""

    def tensors() -> list[Tensor]:
        out = 2 * channels
        shapes = (out, channels, 3, 3), (out, out, 3, 3), (out, channels, 1, 1)
        kernels = [torch.randn(own) / own[1] ** 0.5 / own[2] for own in shapes]
        return [torch.randn(batch, channels, side, side), *kernels]

    forms = ops.halving_block, reference.halving_block
    return Case("halving_block", name_of(batch, channels, side), forms, tensors, applied)


def half(batch: int, channels: int, side: int, kernel: int, grid: int) -> Case:
    """Return half a separable convolution."""

    def tensors() -> list[Tensor]:
        return [
            torch.randn(batch, channels, side, side),
            torch.randn(channels, 1, kernel, kernel) / kernel,
            torch.randn(channels, channels, 1, 1) / channels**0.5,
        ]

    def call(form: Any, x: Tensor, depthwise: Tensor, pointwise: Tensor) -> Any:
        return form([Term(x, depthwise, 1, grid)], pointwise)

    name = name_of(batch, channels, side, f"{kernel}x{grid}")
    return Case("relu_dw_pw_bn", name, (relu_dw_pw_bn, separable.relu_dw_pw_bn), tensors, call)


def pools(batch: int, channels: int, side: int) -> Case:
    """Return both pools of a node."""

    def call(form: Any, x: Tensor) -> Any:
        return torch.cat(form(x, 1), 1)

    forms = ops.pooled_norms, reference.pooled_norms
    tensors = images(1, batch, channels, side)
    return Case("pooled_norms", name_of(batch, channels, side), forms, tensors, call)


def images(count: int, *shape: int) -> Callable[[], list[Tensor]]:
    """Return what draws so many batches of images ``(batch, channels, side)``."""
    return lambda: [torch.randn(*shape, shape[-1]) for _ in range(count)]


def applied(form: Any, *tensors: Tensor) -> Any:
    """Call a form of tensors alone."""
    return form(*tensors)


def make_step(form: Callable[..., Any], case: Case, mode: str, *, nhwc: bool) -> Step:
    """Return one call: forward alone, or with backward."""
    torch.manual_seed(0)
    layout = LAST if nhwc else torch.contiguous_format
    drawn = case.tensors()
    batch = max(own.numel() for own in drawn)
    leaves = [
        own.contiguous(memory_format=layout) if own.dim() == 4 and own.numel() == batch else own
        for own in drawn
    ]
    if mode == "forward":
        return lambda: torch.no_grad()(case.call)(form, *leaves)
    leaves = [own.requires_grad_() for own in leaves]
    grad = torch.randn_like(case.call(form, *leaves).detach())
    return lambda: torch.autograd.grad(case.call(form, *leaves), leaves, grad)


def measure(case: Case, mode: str, *, compiled: bool, rounds: int) -> dict[str, float]:
    """Time all forms of one case."""
    make = partial(make_step, case=case, mode=mode)
    steps = steps_of(make, *case.forms, compiled=compiled)
    return medians(steps, rounds=rounds, seconds=0.02)


def summarise(rows: list[Row]) -> None:
    """Print the factors of every operator, and where another form is the faster one."""
    for mode in MODES:
        for operator in dict.fromkeys(row["operator"] for row in rows):
            chosen = [row for row in rows if (row["operator"], row["mode"]) == (operator, mode)]
            print(f"{mode:8} {operator:15}", factors(chosen), sep="  ")
    for row in rows:
        for name in dict.fromkeys(name for names in FORMS.values() for name in names):
            if name in row and float(row[name]) < float(row["ours"]):
                print("slower than", name, *(row[own] for own in ("operator", "case", "mode")))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compile-every", type=int, default=0)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--table", default="mixture", metavar="NAME")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_pages()
    about = machine() | {"unit": "ms of processor time, and of wall time on a busy machine"}
    print(about)
    rows: list[Row] = []
    for number, case in enumerate(list(cases())[:: options.every]):
        compiled = options.compile_every > 0 and number % options.compile_every == 0
        for mode in MODES:
            times = measure(case, mode, compiled=compiled, rounds=options.rounds)
            rows.append({"operator": case.operator, "case": case.name, "mode": mode, **times})
            print(
                *(f"{v:.3g}" if isinstance(v, float) else v for v in rows[-1].values()), flush=True
            )
        save(options.table, rows, about)
    summarise(rows)


if __name__ == "__main__":
    main()
