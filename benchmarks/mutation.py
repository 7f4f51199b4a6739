"""Change the CUDA kernels in one place at a time and see which layer of the tests notices.

    python benchmarks/mutation.py [--most 25] [--only FILE] [--layers quick] [--go_on]

Mutants that compile are run through the tests on the emulator: an unoptimised build first, then the
sanitized one, then the checker's. The table tells which was the first to fail, or that none was; a
run that takes minutes of processor time where it should take seconds is caught, too, and called a
timeout. ``--most`` draws that many mutants of each file, the same ones each time and those of a
smaller number among them. ``--go_on`` keeps of the table that is there what is caught, or excused
after all layers.

A mutant that none notices must be none: benchmarks/equivalent_mutants.csv says why. The exit code
is 1 where a reason is missing.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mutants import Mutant, drawn, files, mutants, reasons
from record import RESULTS, load, machine, save

ROOT = Path(__file__).parents[1]
SECONDS = {"quick": 90, "sanitized": 200, "checked": 400}
"""Processor time of a run: many times what it takes unchanged, whatever else the machine does."""

BLOCK = ("bottleneck", "node", "norm_act")
SUITES: dict[str, tuple[str, ...]] = {
    "count_madds": ("counting",),
    "lanes": ("sgld",),
    "sgld": ("sgld",),
    "norm_act": ("norm_act",),
    "columns": ("norm_act", "bottleneck", "node"),
    "norms": ("norm_act", "bottleneck", "node"),
    "rows": ("norm_act", "bottleneck", "node"),
}
"""The tests of a source; those of the choice block for all others."""


def suite(file: str) -> tuple[str, ...]:
    """Return the tests of a source."""
    names = SUITES.get(file.partition(".")[0], BLOCK)
    return tuple(f"tests/cuda/test_{name}_kernel.py" for name in names)


def environment(layer: str, sources: Path) -> dict[str, str]:
    """Return the variables with which the tests run on a layer."""
    extra = {"STNAS_SIM": layer, "STNAS_SIM_SOURCES": str(sources), "PYTHONPATH": str(ROOT)}
    extra |= {"CUDA_VISIBLE_DEVICES": "", "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    if layer == "sanitized":
        names = ("libasan.so", "libubsan.so")
        found = [
            subprocess.run(
                ["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True
            ).stdout.strip()
            for name in names
        ]
        extra |= {"LD_PRELOAD": ":".join(found), "ASAN_OPTIONS": "detect_leaks=0"}
    return {**os.environ, **extra}


class Layer:
    """A build of the emulator, and processes that run the tests on it."""

    def __init__(self, name: str, sources: Path) -> None:
        self.name, self.sources = name, sources
        self.runners: dict[tuple[str, ...], subprocess.Popen[str]] = {}

    def builds(self) -> bool:
        """Tell whether the kernels compile."""
        folder = self.sources.parent / "build/cusim" / self.name
        command = [sys.executable, str(self.sources / "cusim/build.py"), "--mode", self.name]
        return not subprocess.run([*command, str(folder)], capture_output=True).returncode

    def verdict(self, tests: tuple[str, ...]) -> str:
        """Return "" if the tests pass, else the layer, and whether its time was up."""
        if tests not in self.runners:
            self.runners[tests] = subprocess.Popen(
                [sys.executable, str(ROOT / "benchmarks/forked_tests.py"), *tests],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                cwd=ROOT, env=environment(self.name, self.sources), text=True,
            )  # fmt: skip
        runner = self.runners[tests]
        assert runner.stdin is not None
        assert runner.stdout is not None
        print(SECONDS[self.name], file=runner.stdin, flush=True)
        status = int(runner.stdout.readline())
        assert status in (0, 1) or status < 0, f"pytest ended with {status}"
        late = status in (-signal.SIGXCPU, -signal.SIGKILL)
        return f"{self.name}, timeout" if late else self.name if status else ""


class Bench:
    """A copy of the sources with a build for each layer, in a folder of its own."""

    def __init__(self, folder: Path, layers: Sequence[str]) -> None:
        self.sources, self.kept = folder / "work/csrc", folder / "kept"
        shutil.copytree(ROOT / "csrc", self.sources)
        self.layers = [Layer(name, self.sources) for name in layers]
        self.missed = "none" if len(layers) == len(SECONDS) else f"none of {', '.join(layers)}"
        everything = tuple(sorted({test for file in files() for test in suite(file)}))
        for layer in self.layers:
            assert layer.builds(), f"the kernels do not compile: {layer.name}"
            assert not layer.verdict(everything), f"tests fail, unchanged: {layer.name}"
        shutil.copytree(self.sources.parent, self.kept)

    def judge(self, mutant: Mutant) -> str:
        """Return the first layer that notices a mutant, or that it does not compile, or none."""
        path = self.sources / "cuda" / mutant.file
        lines = path.read_text().splitlines()
        lines[mutant.line - 1] = mutant.now
        path.write_text("\n".join(lines) + "\n")
        try:
            if not self.layers[0].builds():
                return "does not compile"
            found = (layer.verdict(suite(mutant.file)) for layer in self.layers)
            return next(filter(None, found), self.missed)
        finally:
            self.restore()

    def restore(self) -> None:
        """Bring back all files with their times, so that no object of a mutant looks fresh."""
        for path in self.kept.rglob("*"):
            changed = self.sources.parent / path.relative_to(self.kept)
            if path.is_file() and changed.stat().st_mtime_ns != path.stat().st_mtime_ns:
                shutil.copy2(path, changed)


def row(mutant: Mutant, caught_by: str, why: str) -> dict[str, Any]:
    """Return a row of the table."""
    file, was, now, nth = mutant.key
    place = {"file": file, "line": mutant.line, "was": was, "now": now, "nth": nth}
    return place | {"caught_by": caught_by, "reason": why if caught_by == "none" else ""}


def record(chosen: Sequence[Mutant], verdicts: dict[tuple[str, ...], str]) -> list[dict[str, Any]]:
    """Save the table in the order of the sources and return its rows."""
    why = reasons()
    done = [mutant for mutant in chosen if mutant.key in verdicts]
    done.sort(key=lambda mutant: (mutant.file, mutant.line, mutant.now))
    rows = [row(one, verdicts[one.key], why.get(one.key, "")) for one in done]
    total = sum(len(mutants(file)) for file in files())
    save("mutation", rows, machine("pytest") | {"mutants_in_all": total})
    return rows


def kept() -> dict[tuple[str, ...], str]:
    """Return the verdicts of the table that is there, but for those that no layer noticed."""
    if not (RESULTS / "mutation.csv").exists():
        return {}
    why = reasons()
    found = {(r["file"], r["was"], r["now"], r["nth"]): r["caught_by"] for r in load("mutation")}
    caught = {key: by for key, by in found.items() if not by.startswith("none")}
    return caught | {key: by for key, by in found.items() if by == "none" and key in why}


def main() -> None:
    """Print a line per mutant as it is judged, and save the table each time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--most", type=int, default=25, help="mutants of a file")
    parser.add_argument("--only", default="", help="part of the names of the files to change")
    parser.add_argument("--layers", nargs="+", default=list(SECONDS), choices=list(SECONDS))
    parser.add_argument("--go_on", action="store_true", help="keep what the table says is caught")
    options = parser.parse_args()
    verdicts = kept() if options.go_on else {}
    everything = [mutant for file in files() for mutant in mutants(file)]
    chosen = [m for m in drawn(options.most) if options.only in m.file and m.key not in verdicts]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.layers) if chosen else None
        for mutant in chosen:
            assert bench is not None
            verdicts[mutant.key] = bench.judge(mutant)
            place = f"{mutant.file}:{mutant.line} {mutant.now.strip()}"
            print(f"{verdicts[mutant.key]:<16} {place}", flush=True)
            record(everything, verdicts)
    rows = record(everything, verdicts)
    print(Counter(row["caught_by"] for row in rows))
    sys.exit(any(row["caught_by"].startswith("none") and not row["reason"] for row in rows))


if __name__ == "__main__":
    main()
