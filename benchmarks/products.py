"""Time the products of the choice block by our kernels beside ATen's brgemm, one thread.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE python benchmarks/products.py

Expand (256 pixels x C_in -> M) and project (pixels x M -> C_out, about as many as the block takes
at a time) of every distinct block shape, in float32 and, where the processor multiplies it,
bfloat16: medians, both in turn, weights packed before. brgemm (oneDNN's kernels, compiled at run
time) is internal to a torch release, so that this script compiles ``products.cpp`` against its
headers.
"""

import statistics
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from block_shapes import BATCHES, cases
from record import machine, save
from torch.utils.cpp_extension import load

HERE = Path(__file__).parent
ROUNDS = 5
CLOSE = {"float32": 1e-5, "bfloat16": 1e-3}
"""Largest gap of the two results: sums of other order."""


def compile_products() -> ModuleType:
    """Compile both forms for this processor."""
    csrc = HERE.parent / "csrc"
    flags = ["-std=c++20", "-O3", "-march=native", "-mprefer-vector-width=512", "-DSTNAS_ISA=here"]
    sources = [HERE / "products.cpp", csrc / "host/scratch.cpp"]
    module: ModuleType = load(
        "stnas_products",
        [str(source) for source in sources],
        extra_cflags=flags,
        extra_include_paths=[str(csrc)],
    )
    return module


def shapes() -> list[tuple[str, int, int]]:
    """Return (product, depth, columns) of every distinct block."""
    found = {
        shape: None
        for profile in BATCHES
        for case in cases(profile)
        for shape in [
            ("expand", case.c_in, case.c_in * case.expand),
            ("project", case.c_in * case.expand, case.c_out),
        ]
    }
    return list(found)


def main() -> None:
    """Time every product and print the geometric means."""
    products = compile_products()
    rows: list[dict[str, Any]] = []
    for dtype, bound in CLOSE.items():
        if not hasattr(products, dtype):
            print(f"{dtype}: this processor has no instruction for its products")
            continue
        for name, depth, columns in shapes():
            pixels = 256 if name == "expand" else max(64, 6144 // depth // 64 * 64)
            runs = [getattr(products, dtype)(pixels, depth, columns) for _ in range(ROUNDS)]
            ours, brgemm = (statistics.median(run[i] for run in runs) for i in (0, 1))
            if runs[0][2] > bound:
                raise SystemExit(f"{dtype} {name} {depth} {columns}: results differ: {runs[0][2]}")
            work = 2e-9 * pixels * depth * columns
            row = {"dtype": dtype, "product": name, "pixels": pixels, "depth": depth}
            row["columns"] = columns
            rows.append(row | {"ours": work / ours, "brgemm": work / brgemm})
            print(*row.values(), f"{work / ours:.1f} {work / brgemm:.1f} GFLOP/s", flush=True)
        factors = [row["ours"] / row["brgemm"] for row in rows if row["dtype"] == dtype]
        mean = statistics.geometric_mean(factors)
        print(
            f"{dtype}: ours is {mean:.2f} ({min(factors):.2f} to {max(factors):.2f}) times brgemm"
        )
    save("products", rows, machine())


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
