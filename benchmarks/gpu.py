"""Measure everything on a GPU: kernels, steps of the stages, images, memory, and a short run.

    STNAS_REQUIRE_CUDA=1 python benchmarks/gpu.py [--toy] [--into benchmarks/results]

Takes about ten minutes. First the tests of the kernels run. Every result of a kernel is compared
with the CPU form; a time is the median over rounds, between two events on one stream; before each,
a buffer larger than the L2 cache is written, so that the tensors come from device memory. "share"
is the bytes that must move over the time, as a part of the bandwidth that the GPU's maker states,
and "floor" the time that they take at it. Writes ``gpu.csv`` and ``gpu.md``, a page that holds the
figures against the predictions of docs/cuda.md. Without a GPU the script stops. ``--toy``, which
the tests run on an emulated GPU, takes tiny sizes.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from gpu_cases import Case, cases
from gpu_loader import streamed
from gpu_stages import TOY, WHOLE, Row, Size, quickstart, retraining, steps, synchronise
from ranking_text import lines
from record import RESULTS, machine, save

from stnas.group import device as devices

ROOT = Path(__file__).parents[1]
# Bytes per second by the makers' data sheets: A100 40 GB and 80 GB SXM, H100 SXM, H200.
BANDWIDTHS = {
    "A100-SXM4-40GB": 1.555e12,
    "A100-SXM4-80GB": 2.039e12,
    "H100 80GB HBM3": 3.35e12,
    "H200": 4.8e12,
}
L2 = 256 << 20
"""Bytes that no L2 cache holds."""


def time_once(work: Callable[[], object], flush: torch.Tensor) -> float:
    """Return the milliseconds of one call that finds nothing of its data in the L2 cache."""
    event = devices.backend().Event
    begin, end = (event(enable_timing=True) for _ in range(2))
    flush.zero_()
    begin.record()
    work()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end))


def measure(case: Case, flush: torch.Tensor, bandwidth: float | None, size: Size) -> Row:
    """Check a case, then time its forms in turn."""
    case.check()
    forms = {"stnas": case.ours, "plain": case.plain}
    if size.compiled:
        forms["compiled"] = torch.compile(case.plain)
        forms["compiled"]()
    times: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(size.rounds):
        for name, form in forms.items():
            times[name].append(time_once(form, flush))
    medians = {name: statistics.median(values) for name, values in times.items()}
    row: Row = {"case": case.name} | {name: f"{value:.4f}" for name, value in medians.items()}
    row["times_plain"] = f"{medians['plain'] / max(medians['stnas'], 1e-9):.2f}"
    if bandwidth:
        floor = case.moved / bandwidth * 1e3
        row |= {"floor": f"{floor:.4f}", "share": f"{floor / medians['stnas']:.2f}"}
    return row


def tested(size: Size) -> list[Row]:
    """Run the tests of the kernels, of which none may be skipped for want of a GPU."""
    command = [sys.executable, "-m", "pytest", size.tests, "-k", "not emulated and not whole"]
    environment = os.environ | {"STNAS_REQUIRE_CUDA": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    return [{"case": size.tests, "passed": str(done.returncode == 0)}]


def page(about: dict[str, Any], sections: dict[str, list[Row]]) -> str:
    """Write the figures as a page, and say what they are to be held against."""
    text = [
        f"# Measured on {about['gpu']}", "",
        f"By `{about['command']}`, torch {about['torch']}. Times are milliseconds. The predictions",
        "of [docs/cuda.md](../../docs/cuda.md) are floors: `share` says how near a kernel comes.",
        "Beside a step stands what its blocks take at least; its launches, at 4 us each, are the",
        "slower part where that is less. `apart` is how far gradients of a CUDA graph are from",
        "those without it: more than rounding is a fault.",
    ]  # fmt: skip
    for title, rows in sections.items():
        if rows:
            columns = list(dict.fromkeys(column for row in rows for column in row))
            cells = [[str(row.get(column, "")) for column in columns] for row in rows]
            text += ["", f"## {title}", "", lines(columns, cells)]
    return "\n".join(text) + "\n"


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print and save the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--into", type=Path, default=RESULTS)
    options = parser.parse_args(words)
    size = TOY if options.toy else WHOLE
    if (reason := devices.why_not(0)) is not None:
        sys.exit(f"benchmarks/gpu.py needs a GPU; {reason}")
    where = devices.device_of("cuda")
    name = devices.backend().get_device_name(0)
    bandwidth = next((rate for part, rate in BANDWIDTHS.items() if part in name), size.bandwidth)
    about = machine() | {"gpu": name, "bandwidth": bandwidth}
    sections = {"Tests": tested(size)}
    flush = torch.empty(L2 if size is WHOLE else 1, dtype=torch.int8, device=where)
    sections["Kernels"] = [
        measure(case, flush, bandwidth, size) for case in cases(size, device=str(where))
    ]
    sections["Steps"] = [*steps(size, where), *retraining(size, where)]
    synchronise()
    with tempfile.TemporaryDirectory() as folder:
        sections["Streamed images"] = list(streamed(size, where, Path(folder) / "photographs"))
        sections["A short run"] = list(quickstart(size, Path(folder)))
    rows = [{"section": title} | row for title, own in sections.items() for row in own]
    print(about, *rows, sep="\n")
    save("gpu", rows, about, into=options.into)
    (options.into / "gpu.md").write_text(page(about, sections))


if __name__ == "__main__":
    main()
