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

import torch
from gpu_cases import Case, cases
from predictions import BLOCK
from record import machine, save

ROUNDS = 50
# Bytes per second by the makers' data sheets: A100 40 GB and 80 GB SXM, H100 SXM, H200.
BANDWIDTHS = {
    "A100-SXM4-40GB": 1.555e12,
    "A100-SXM4-80GB": 2.039e12,
    "H100 80GB HBM3": 3.35e12,
    "H200": 4.8e12,
}


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
    rows = [measure(case, flush, bandwidth) for case in cases(BLOCK, device="cuda")]
    print(about, *rows, sep="\n")
    save("gpu", rows, about)


if __name__ == "__main__":
    main()
