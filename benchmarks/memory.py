"""Measure the memory of a training step of the hyper-network, ours beside PyTorch's.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/memory.py [--threads 1]

Linux with glibc. Every case is a process of its own that takes two steps on one image of each
class, and then steps on whole batches. ``peak``: the most resident memory during the first whole
step over what was resident before it: parameters and batch not counted, everything else of the
process counted. ``allocated``: the most that torch's allocator held at once during a later step,
and ``allocations`` how often it was asked in that step, for 4 KiB or more. ``growth``: resident
memory after six more steps over that before them. MiB. Writes ``benchmarks/results/memory.csv``.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import ctypes
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from record import machine, save
from torch.profiler import ProfilerActivity, profile
from training_step import PROFILES, forms, split, step

from stnas.space import SearchSpace

PATHS = 3
FORMS = ("stnas", "eager NHWC")
LARGE = 4096
"""Bytes from which an allocation counts."""
STATUS = Path("/proc/self/status")


def resident(name: str) -> float:
    """Return a field of the process's status in MiB, such as VmRSS or VmHWM."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def held() -> float:
    """Return the resident memory in MiB after the freed part has gone back to the system."""
    ctypes.CDLL(None).malloc_trim(0)
    return resident("VmRSS")


def peak(run: Callable[[], object]) -> float:
    """Return the most resident memory during a call over what is resident before it, in MiB."""
    before = held()
    Path("/proc/self/clear_refs").write_text("5")
    run()
    return resident("VmHWM") - before


def allocations(run: Callable[[], object]) -> tuple[float, int]:
    """Return the most MiB that torch's allocator held during a call, and its large requests."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events = profiler.profiler.kineto_results.events()
    sizes = [event.nbytes() for event in events if event.name() == "[memory]"]
    now = most = 0
    for size in sizes:
        now += size
        most = max(most, now)
    return most / 2**20, sum(size >= LARGE for size in sizes)


def case(profile_name: str, form_name: str, index: int) -> dict[str, Any]:
    """Measure one path in this process."""
    space = SearchSpace.profile(profile_name, image_size=PROFILES[profile_name])
    genotype = space.sample(PATHS, p_drop=0.6, seed=1)[index]
    form = forms(space)[form_name]
    few, whole = split(space, space.head.num_classes), split(space, 128)
    for _ in range(2):
        step(form, few, genotype)
    highest = peak(lambda: step(form, whole, genotype))
    for _ in range(2):
        step(form, whole, genotype)
    allocated, count = allocations(lambda: step(form, whole, genotype))
    before = held()
    for _ in range(6):
        step(form, whole, genotype)
    return {
        "peak_mib": round(highest, 1),
        "allocated_mib": round(allocated, 1),
        "allocations": count,
        "growth_mib": round(held() - before, 1),
    }


def measured(*arguments: object) -> dict[str, Any]:
    """Run one case in a process of its own."""
    command = [sys.executable, __file__, "--case", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Print and save the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--case", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(int(options.case[3]) if options.case else options.threads)
    if options.case:
        print(json.dumps(case(options.case[0], options.case[1], int(options.case[2]))))
        return
    rows = []
    for name in PROFILES:
        for index in range(PATHS):
            found = {form: measured(name, form, index, options.threads) for form in FORMS}
            for form, result in found.items():
                share = result["peak_mib"] / found["eager NHWC"]["peak_mib"]
                row = {"profile": name, "path": index, "form": form, **result}
                rows.append(row | {"share_of_eager": round(share, 3)})
                print(*rows[-1].values(), sep="\t", flush=True)
    save("memory", rows, machine())


if __name__ == "__main__":
    main()
