"""Time the CUDA kernels on a GPU, beside their plain PyTorch forms and the published bandwidth.

    python benchmarks/gpu.py

Every result is compared with the CPU form first. A time is the median over rounds, between two CUDA
events on one stream; before each, a buffer larger than the L2 cache is written, so that the tensors
come from device memory. "share" is the bytes that must move over the time, as a part of the
bandwidth that the GPU's maker states. Without a GPU the script stops.
"""

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
from record import machine, save

from stnas.ops import count_madds
from stnas.ops.sgld import sgld_step_

ROUNDS = 50
# Bytes per second by the makers' data sheets: A100 40 GB and 80 GB SXM, H100 SXM, H200.
BANDWIDTHS = {
    "A100-SXM4-40GB": 1.555e12,
    "A100-SXM4-80GB": 2.039e12,
    "H100 80GB HBM3": 3.35e12,
    "H200": 4.8e12,
}


@dataclass(frozen=True)
class Case:
    """A kernel, its plain form, the check that both give the CPU's result, and the bytes."""

    name: str
    ours: Callable[[], object]
    plain: Callable[[], object]
    check: Callable[[], None]
    moved: int


def sgld_case(count: int) -> Case:
    """Step one tensor of ``count`` float32 numbers with noise: read w and g, write w."""
    options = {"lr": 1e-3, "weight_decay": 1e-4, "mode": "posterior", "num_data": 1000}
    here = [torch.randn(count) for _ in range(2)]
    there = [part.cuda() for part in here]

    def ours() -> None:
        sgld_step_(there[:1], there[1:], ids=[0], seed=1, step=2, **options)

    def plain() -> None:
        w, grad = there
        w.sub_((grad + w * 1e-4) * 1e-3).add_(torch.randn_like(w), alpha=(2e-3 / 1000) ** 0.5)

    def check() -> None:
        start = there[0].clone()
        ours()
        sgld_step_(here[:1], here[1:], ids=[0], seed=1, step=2, **options)
        torch.testing.assert_close(there[0].cpu(), here[0], rtol=0, atol=1e-6)
        there[0].copy_(start)

    return Case(f"sgld_step_/{count}", ours, plain, check, 12 * count)


def counting_case(rows: int, genes: int, choices: int) -> Case:
    """Count ``rows`` architectures: read a byte a gene, write eight bytes a row."""
    genotypes = torch.randint(choices, (rows, genes), dtype=torch.int8)
    table = torch.randint(10**9, (genes, choices))
    there = (genotypes.cuda(), table.cuda())
    index = there[0].long().T.contiguous()

    def check() -> None:
        assert torch.equal(count_madds(*there).cpu(), count_madds(genotypes, table))

    return Case(
        f"count_madds/{rows}x{genes} of {choices}",
        lambda: count_madds(*there),
        lambda: there[1].gather(1, index).sum(0),
        check,
        rows * (genes + 8) + table.nbytes,
    )


def time_once(work: Callable[[], object], flush: torch.Tensor) -> float:
    """Return the milliseconds of one call that finds nothing of its data in the L2 cache."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    flush.zero_()
    begin.record()
    work()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def measure(case: Case, flush: torch.Tensor, bandwidth: float | None) -> dict[str, str]:
    """Check a case, then time its two forms in turn."""
    case.check()
    times: dict[str, list[float]] = {"stnas": [], "plain": []}
    for _ in range(ROUNDS):
        times["stnas"].append(time_once(case.ours, flush))
        times["plain"].append(time_once(case.plain, flush))
    medians = {name: statistics.median(values) for name, values in times.items()}
    row = {"case": case.name} | {name: f"{value:.4f}" for name, value in medians.items()}
    row["times_plain"] = f"{medians['plain'] / medians['stnas']:.2f}"
    if bandwidth:
        row["share"] = f"{case.moved / (medians['stnas'] * 1e-3) / bandwidth:.2f}"
    return row


def main() -> None:
    """Print and save the table, in milliseconds."""
    if not torch.cuda.is_available():
        sys.exit("benchmarks/gpu.py needs a GPU; the predictions of docs/cuda.md need none")
    name = torch.cuda.get_device_name()
    bandwidth = next((rate for part, rate in BANDWIDTHS.items() if part in name), None)
    about = machine() | {"gpu": name, "bandwidth": bandwidth}
    flush = torch.empty(256 << 20, dtype=torch.int8, device="cuda")
    cases = [sgld_case(1 << 22), sgld_case(1 << 25), counting_case(100_000, 54, 11)]
    rows = [measure(case, flush, bandwidth) for case in cases]
    print(about, *rows, sep="\n")
    save("gpu", rows, about)


if __name__ == "__main__":
    main()
