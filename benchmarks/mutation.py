"""Change the CUDA kernels in one place at a time and see which layer of the tests notices.

    python benchmarks/mutation.py [--most 25] [--only FILE] [--fast] [--go_on]

``--most`` draws that many mutants of each file, the same ones each time and those of a smaller
number among them. Each is run through the tests on an unoptimised build of the emulator. What
survives is run through those on the sanitized build and on the checker's, too: one by one, but
mutants for which benchmarks/equivalent_mutants.csv has a reason why nothing can notice them are
changed all at once, and one by one only where that is noticed. The table tells which layer was the
first to fail, or that none was; a run that takes minutes of processor time where it should take
seconds is caught, too, and called a timeout. ``--fast`` leaves survivors for later, ``--go_on``
keeps the table that is there. What came out is written to docs/cuda.md; the exit code is 1 where a
survivor has no reason.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mutants import SURVIVED, Mutant, drawn, files, home, mutants, reasons, summary
from ranking_text import filled
from record import RESULTS, load, machine, save

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/cuda.md"
Verdicts = dict[tuple[str, str, str, str], str]
TESTS = {"quick": (90, ""), "sanitized": (200, "not float64"), "checked": (400, "not float64")}
"""Seconds of processor time: many times what a run takes unchanged; and which tests are run."""

BLOCK = ("bottleneck_kernel", "expanded_kernel", "node_kernel", "norm_act_kernel", "predictions")
SUITES: dict[str, tuple[str, ...]] = {
    "count_madds": ("counting_kernel",),
    "lanes": ("sgld_kernel",),
    "sgld": ("sgld_kernel",),
    "norm_act": ("norm_act_kernel",),
}
"""The tests of a source; those of the choice block for all others."""


def suite(sources: Iterable[str]) -> tuple[str, ...]:
    """Return the tests of sources."""
    names = (name for file in sources for name in SUITES.get(file.partition(".")[0], BLOCK))
    return tuple(f"tests/cuda/test_{name}.py" for name in dict.fromkeys(names))


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
        seconds, chosen = TESTS[self.name]
        if tests not in self.runners:
            command = [sys.executable, str(ROOT / "benchmarks/forked_tests.py"), "-k", chosen]
            self.runners[tests] = subprocess.Popen(
                [*command, *tests],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                cwd=ROOT, env=environment(self.name, self.sources), text=True,
            )  # fmt: skip
        runner = self.runners[tests]
        assert runner.stdin is not None
        assert runner.stdout is not None
        print(seconds, file=runner.stdin, flush=True)
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
        everything = suite(files())
        for layer in self.layers:
            assert layer.builds(), f"the kernels do not compile: {layer.name}"
            assert not layer.verdict(everything), f"tests fail, unchanged: {layer.name}"
        shutil.copytree(self.sources.parent, self.kept)

    def judge(self, group: Sequence[Mutant], layers: int) -> str:
        """Return the first of so many layers that notices a group of mutants, or "none"."""
        for mutant in group:
            path = home(mutant.file, self.sources)
            lines = path.read_text().splitlines()
            lines[mutant.line - 1] = mutant.now
            path.write_text("\n".join(lines) + "\n")
        try:
            if not self.layers[0].builds():
                return "does not compile"
            tests = suite([mutant.file for mutant in group])
            return next(filter(None, (one.verdict(tests) for one in self.layers[:layers])), "none")
        finally:
            self.restore()

    def settle(self, group: Sequence[Mutant]) -> Verdicts:
        """Judge a group by all layers, and its halves where one notices it."""
        found = self.judge(group, len(self.layers))
        if found == "none" or len(group) == 1:
            return {mutant.key: found for mutant in group}
        half = len(group) // 2
        return self.settle(group[:half]) | self.settle(group[half:])

    def restore(self) -> None:
        """Bring back all files with their times, so that no object of a mutant looks fresh."""
        for path in self.kept.rglob("*"):
            changed = self.sources.parent / path.relative_to(self.kept)
            if path.is_file() and changed.stat().st_mtime_ns != path.stat().st_mtime_ns:
                shutil.copy2(path, changed)


def groups(survivors: Sequence[Mutant]) -> list[list[Mutant]]:
    """Put survivors that have a reason together, one a line; the others stay alone."""
    why, together = reasons(), list[list[Mutant]]()
    for mutant in survivors:
        if mutant.key not in why:
            continue
        places = [{(one.file, one.line) for one in group} for group in together]
        free = (i for i, taken in enumerate(places) if (mutant.file, mutant.line) not in taken)
        at = next(free, len(together))
        together[at:] = (
            [[*together[at], mutant], *together[at + 1 :]] if places[at:] else [[mutant]]
        )
    return together + [[mutant] for mutant in survivors if mutant.key not in why]


def row(mutant: Mutant, caught_by: str, why: str) -> dict[str, Any]:
    """Return a row of the table."""
    file, was, now, nth = mutant.key
    place = {"file": file, "line": mutant.line, "was": was, "now": now, "nth": nth}
    return place | {"caught_by": caught_by, "reason": why if caught_by == "none" else ""}


class Table:
    """The verdicts, saved as they come in."""

    def __init__(self, *, go_on: bool) -> None:
        self.all = [mutant for file in files() for mutant in mutants(file)]
        self.verdicts: Verdicts = {}
        if go_on and (RESULTS / "mutation.csv").exists():
            rows = load("mutation")
            self.verdicts = {
                (r["file"], r["was"], r["now"], r["nth"]): r["caught_by"] for r in rows
            }

    def survivors(self) -> list[Mutant]:
        """List what was noticed by no layer, or by no fast one, and what lost its reason."""
        why = reasons()
        return [
            mutant
            for mutant in self.all
            if self.verdicts.get(mutant.key) == SURVIVED
            or (self.verdicts.get(mutant.key) == "none" and mutant.key not in why)
        ]

    def add(self, found: Verdicts) -> None:
        """Print and save verdicts."""
        self.verdicts |= found
        why, by = reasons(), self.verdicts
        done = sorted((m for m in self.all if m.key in by), key=lambda m: (m.file, m.line, m.now))
        for mutant in done:
            if mutant.key in found:
                place = f"{mutant.file}:{mutant.line} {mutant.now.strip()}"
                print(f"{by[mutant.key]:<16} {place}", flush=True)
        self.rows = [row(one, by[one.key], why.get(one.key, "")) for one in done]
        save("mutation", self.rows, machine("pytest") | {"mutants_in_all": len(self.all)})


def try_all(table: Table, bench: Bench, chosen: Sequence[Mutant], *, fast: bool) -> None:
    """Try mutants on the fast layer, then what survived on all."""
    for mutant in chosen:
        found = bench.judge([mutant], 1)
        table.add({mutant.key: SURVIVED if found == "none" else found})
    for group in groups(table.survivors()) if not fast else []:
        table.add(bench.settle(group))


def main() -> None:
    """Judge what the command line asks for, and say what came out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--most", type=int, default=25, help="mutants of a file")
    parser.add_argument("--only", default="", help="part of the names of the files to change")
    parser.add_argument("--fast", action="store_true", help="leave survivors for later")
    parser.add_argument("--go_on", action="store_true", help="keep what the table says is caught")
    options = parser.parse_args()
    table = Table(go_on=options.go_on)
    chosen = [m for m in drawn(options.most) if options.only in m.file]
    chosen = [mutant for mutant in chosen if mutant.key not in table.verdicts]
    if chosen or (table.survivors() and not options.fast):
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(Path(folder), list(TESTS)[: 1 if options.fast else None])
            try_all(table, bench, chosen, fast=options.fast)
    table.add({})
    text = summary(table.rows, len(table.all))
    PAGE.write_text(filled(PAGE.read_text(), {"mutants": text}))
    print(text)
    sys.exit(any(r["caught_by"] in ("none", SURVIVED) and not r["reason"] for r in table.rows))


if __name__ == "__main__":
    main()
