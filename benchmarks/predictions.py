"""Predict what the kernels of the choice block take on two GPUs: bytes, operations, time.

    python benchmarks/predictions.py

Writes the tables of docs/cuda.md. Nothing here was measured. Bytes are those that must move: every
tensor in device memory that a kernel reads or writes counts once, what it reads again is taken to
come from the L2 cache, and numbers a channel do not count. A kernel takes as long as its bytes at
the published bandwidth or its operations at the published rate, whichever is longer.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from block_launches import WIDTHS, Block, Launch
from block_passes import (
    backward,
    convolution,
    expansion,
    forward,
    fused,
    inference,
    moments,
    norm_act,
)
from block_shapes import Case
from ranking_text import filled, lines

from stnas.space import Genotype, Genotypes, SearchSpace

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/cuda.md"
RULES = ROOT / "csrc/device/rules.json"


@dataclass(frozen=True)
class Gpu:
    """What a data sheet says: bytes, and operations of float32 and of tensor cores, per second."""

    name: str
    bandwidth: float
    float32: float
    bfloat16: float


GPUS = (Gpu("H100", 3.35e12, 67e12, 989e12), Gpu("A100", 2.039e12, 19.5e12, 312e12))
"""H100 SXM and A100 80GB SXM; of tensor cores the rates without sparsity."""

BLOCK = Case(128, 32, 32, kernel=5, expand=6, stride=1, resolution=28)
STRIDED = Case(128, 32, 64, kernel=5, expand=6, stride=2, resolution=28)
LATE = Case(128, 64, 64, kernel=5, expand=6, stride=1, resolution=14)
STEM = Case(128, 16, 16, kernel=3, expand=1, stride=1, resolution=112)
WIDE = [Case(128, 16, 16, kernel, expand=6, stride=1, resolution=112) for kernel in (3, 5, 7)]
EXPANDED = (*WIDE, Case(128, 16, 24, 5, expand=6, stride=2, resolution=112), BLOCK, STRIDED, LATE)
PASSES = {"inference": inference, "forward": forward, "backward": backward}
PATHS = 100
"""Drawn networks that a step is averaged over."""
LAUNCH = 4e-6
"""Seconds that torch and the driver take on the host for a kernel: an assumption."""
OTHERS = 120
"""Kernels of a step beside those of the blocks: images, stem, tail, loss, update."""
Rules = Sequence[dict[str, Any]]


def seconds(launch: Launch, gpu: Gpu) -> float:
    """Return the longer of the times of a kernel's bytes and of its operations."""
    if "TensorCores" in launch.kernel or "Expanded<BFloat16>" in launch.kernel:
        work = max(launch.operations / gpu.float32, launch.products / gpu.bfloat16)
    else:
        work = (launch.operations + launch.products) / gpu.float32
    return max(launch.moved / gpu.bandwidth, work)


def times(launches: Sequence[Launch], *, digits: int = 1) -> list[str]:
    """Return the microseconds of launches on each GPU."""
    return [f"{sum(seconds(one, gpu) for one in launches) * 1e6:.{digits}f}" for gpu in GPUS]


def occupancy(launch: Launch, rules: Rules) -> float:
    """Return the occupancy that scripts/cuda_gate.py demands of a kernel."""
    for rule in rules:
        if re.search(rule["kernel"], launch.kernel):
            return float(rule["occupancy"])
    raise ValueError(f"no rule of {RULES.name} is for {launch.kernel}")


def size(case: Case) -> str:
    """Describe a block."""
    images = f"{case.batch} x {case.resolution} x {case.resolution} x {case.c_in}"
    return f"{images} to {case.c_out}, kernel {case.kernel}, stride {case.stride}"


def paired(
    first: Sequence[Launch], second: Sequence[Launch]
) -> Iterator[tuple[Launch | None, Launch | None]]:
    """Pair the launches of two chains that do the same; one that is in a chain alone has None."""
    does = [[one.does for one in chain] for chain in (first, second)]
    for tag, i, to_i, j, to_j in SequenceMatcher(None, *does, autojunk=False).get_opcodes():
        if tag == "equal":
            yield from zip(first[i:to_i], second[j:to_j], strict=True)
        else:
            yield from ((one, None) for one in first[i:to_i])
            yield from ((None, one) for one in second[j:to_j])


def cells(launch: Launch | None, rules: Rules) -> list[str]:
    """Return what the table of kernels says of a launch in a type."""
    if launch is None:
        return [""] * (len(GPUS) + 2)
    return [f"{launch.moved / 1e6:.1f}", *times([launch]), f"{occupancy(launch, rules):.0%}"]


def kernel_table(rules: Rules) -> str:
    """Tabulate every launch of the example block, and the one that only a stride has."""
    chains = []
    for dtype in WIDTHS:
        spread = [one for one in backward(STRIDED, dtype) if one.kernel.startswith("spread")]
        chains.append([*forward(BLOCK, dtype), *backward(BLOCK, dtype), *spread])
    head = ["kernel", "what it does", "GFLOP"]
    for dtype in WIDTHS:
        head += [f"{dtype}: MB", *(f"{gpu.name} us" for gpu in GPUS), "occupancy"]
    rows = []
    for pair in paired(*chains):
        one = pair[0] or pair[1]
        assert one is not None
        name, work = one.kernel.partition("<")[0], one.operations + one.products
        row = [f"`{name}`", one.does, f"{work / 1e9:.2f}"]
        rows.append(row + [cell for each in pair for cell in cells(each, rules)])
    return lines(head, rows)


def expansion_table() -> str:
    """Tabulate what makes d of x: with e stored, and with e made by the convolution itself."""
    rows = []
    for case in EXPANDED:
        for dtype in WIDTHS:
            b = Block(case, dtype)
            stored = times([expansion(b), convolution(b, itself=False)])
            used = "itself" if b.expands_itself else "stored"
            row = [size(case), dtype, *stored, *times([convolution(b, itself=True)]), used]
            rows.append(row)
    names = [f"{form}, {gpu.name} us" for form in ("stored", "itself") for gpu in GPUS]
    return lines(["block", "type", *names, "used"], rows)


def operator_table(rules: Rules) -> str:
    """Tabulate BN with activation, and the moments of a node."""
    stem = STEM.batch * STEM.resolution**2, STEM.c_in
    rows = []
    for name, launches in {
        "`norm_act` forward, float32": norm_act(*stem, gradient=False),
        "`norm_act` backward, float32": norm_act(*stem, gradient=True),
        "`node_moments`, float32": moments(BLOCK, "float32"),
        "`node_moments`, bfloat16": moments(BLOCK, "bfloat16"),
    }.items():
        moved = sum(one.moved for one in launches)
        work = sum(one.operations + one.products for one in launches)
        least = min(occupancy(one, rules) for one in launches)
        row = [name, f"{moved / 1e6:.1f}", f"{work / 1e9:.2f}", *times(launches), f"{least:.0%}"]
        rows.append(row)
    names = [f"{gpu.name} us" for gpu in GPUS]
    return lines(["operator", "MB", "GFLOP", *names, "least occupancy"], rows)


def block_table() -> str:
    """Tabulate whole passes beside what a fused form would move."""
    names = [f"{gpu.name} us" for gpu in GPUS]
    rows = []
    for case in (BLOCK, STRIDED, LATE):
        for dtype in WIDTHS:
            for name, work in PASSES.items():
                launches, least = work(case, dtype), fused(case, dtype)[name]
                moved = sum(one.moved for one in launches)
                row = [size(case), f"{dtype} {name}", f"{moved / 1e6:.0f}"]
                row += [*times(launches, digits=0), f"{least / 1e6:.0f}", f"{moved / least:.1f} x"]
                rows.append(row)
    return lines(["block", "pass", "MB", *names, "MB, fused", "of fused"], rows)


def blocks_of(space: SearchSpace, genotype: Genotype, batch: int) -> list[Case]:
    """List the blocks of a network."""
    used = [space.parts[arc.part] for arc in space.arcs_of(genotype) if arc.part is not None]
    return [
        Case(
            batch, part.in_channels, part.out_channels, part.kernel, part.expand, part.stride,
            part.in_size,
        )
        for part in used
    ]  # fmt: skip


def training_step(
    space: SearchSpace, genotypes: Genotypes, batch: int, dtype: str
) -> tuple[float, list[float]]:
    """Return a step's launches, and the seconds of its blocks on each GPU: means over networks."""
    chains = []
    for genotype in genotypes:
        blocks = blocks_of(space, genotype, batch)
        chains.append([k for b in blocks for k in (*forward(b, dtype), *backward(b, dtype))])
    count = sum(map(len, chains)) / len(chains) + OTHERS
    gpus = [sum(sum(seconds(k, gpu) for k in c) for c in chains) / len(chains) for gpu in GPUS]
    return count, gpus


def launch_table() -> str:
    """Tabulate what a training step takes the host to start, and a GPU to work on."""
    space = SearchSpace.profile("imagenet")
    rows = []
    for batch in (64, 512):
        for dtype in WIDTHS:
            genotypes = space.sample(PATHS, p_drop=0.6, seed=0)
            count, gpus = training_step(space, genotypes, batch, dtype)
            host = f"{count * LAUNCH * 1e3:.1f}"
            rows.append(
                [str(batch), dtype, f"{count:.0f}", host, *(f"{s * 1e3:.1f}" for s in gpus)]
            )
    names = [f"{gpu.name}: blocks, ms" for gpu in GPUS]
    return lines(["batch", "type", "launches", f"host, ms at {LAUNCH * 1e6:.0f} us", *names], rows)


def tables() -> dict[str, str]:
    """Return the tables by the names of their places in the page."""
    rules = json.loads(RULES.read_text())
    return {
        "kernels": kernel_table(rules),
        "expansion": expansion_table(),
        "operators": operator_table(rules),
        "blocks": block_table(),
        "launches": launch_table(),
    }


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(), tables()))
