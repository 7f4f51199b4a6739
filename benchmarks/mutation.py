"""Change the CUDA kernels in one place at a time and see which layer of the tests notices.

    python benchmarks/mutation.py [EVERY [OFFSET]]

Every mutant of csrc/cuda/*.cuh that compiles is run through the tests on the emulator: the plain
build first, then the sanitized one, then the checker's. The table tells which was the first to
fail, or that none was. A run that takes minutes of processor time where it should take seconds is
caught, too, and called a timeout. EVERY takes each EVERY-th mutant only, from OFFSET on.
"""

import itertools
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from record import machine, save

ROOT = Path(__file__).parents[1]
LAYERS = ("plain", "sanitized", "checked")
# What is looked for, and what takes its place; each place in a line is a mutant of its own.
OPERATORS = (
    (r"(?<![<\-=])<(?= )", "<="),
    (r"<=", "<"),
    (r"(?<![+\w])\+(?= )", "-"),
    (r"(?<= )-(?= )", "+"),
    (r"(?<=\w )\*(?= \w)", "+"),
    (r"(?<= )/(?= )", "*"),
    (r"(?<= )%(?= )", "/"),
    (r"&&", "||"),
    (r"(?<=[ (+*])(\d+)(?=[;) ,u])", lambda found: str(int(found[0]) + 1)),
    (r"__syncthreads\(\);", ""),
    (r"atomicMin", "atomicAdd"),
)
SKIPPED = re.compile(r"^\s*(//|#|template|using|namespace|struct|static_assert)")
TESTS = {
    "lanes.cuh": "test_sgld_kernel.py",
    "sgld.cuh": "test_sgld_kernel.py",
    "count_madds.cuh": "test_counting_kernel.py",
}
SECONDS = {"plain": 120, "sanitized": 300, "checked": 300}
"""Processor time of a run: many times what it takes unchanged, whatever else the machine does."""


@dataclass(frozen=True)
class Mutant:
    """One change of one line."""

    file: str
    line: int
    was: str
    now: str

    @property
    def name(self) -> str:
        """Say where it is and what became of the line."""
        return f"{self.file}:{self.line} {self.now.strip()}"


def mutants(file: str) -> Iterator[Mutant]:
    """Make every mutant of a file."""
    for number, line in enumerate((ROOT / "csrc/cuda" / file).read_text().splitlines(), 1):
        code = line.partition("//")[0]
        if SKIPPED.match(line):
            continue
        for pattern, replacement in OPERATORS:
            for found in re.finditer(pattern, code):
                now = replacement if isinstance(replacement, str) else replacement(found)
                changed = code[: found.start()] + now + code[found.end() :]
                yield Mutant(file, number, line, changed)


def environment(layer: str, sources: Path) -> dict[str, str]:
    """Return the variables with which the tests run on a layer."""
    extra = {"STNAS_SIM": layer, "STNAS_SIM_SOURCES": str(sources), "PYTHONPATH": str(ROOT)}
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


def verdict(layer: str, tests: str, sources: Path) -> str:
    """Return "" if all tests pass, else the layer, and whether its time was up."""
    command = [sys.executable, "-m", "pytest", "-xq", "-p", "no:cacheprovider"]
    limit = (SECONDS[layer], SECONDS[layer])
    done = subprocess.run(
        [*command, "-k", "emulated or every or wide", f"tests/cuda/{tests}"],
        cwd=ROOT,
        env=environment(layer, sources),
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, limit),
        check=False,
    )
    late = done.returncode in (-signal.SIGXCPU, -signal.SIGKILL)
    return f"{layer}, timeout" if late else layer if done.returncode else ""


def compiles(sources: Path) -> bool:
    """Tell whether the kernels compile."""
    folder = sources.parent / "build/cusim/plain"
    command = [sys.executable, str(sources / "cusim/build.py"), str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def judge(mutant: Mutant, sources: Path) -> str:
    """Return the first layer that notices a mutant, "none", or "does not compile"."""
    path = sources / "cuda" / mutant.file
    whole = path.read_text()
    lines = whole.splitlines()
    lines[mutant.line - 1] = mutant.now
    path.write_text("\n".join(lines) + "\n")
    try:
        if not compiles(sources):
            return "does not compile"
        found = (verdict(layer, TESTS[mutant.file], sources) for layer in LAYERS)
        return next(filter(None, found), "none")
    finally:
        path.write_text(whole)


def main() -> None:
    """Print a line per mutant as it is judged, then save the table."""
    every, offset = (int(value) for value in [*sys.argv[1:], "1", "0"][:2])
    chosen = [mutant for file in TESTS for mutant in mutants(file)][offset::every]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder) / "csrc"
        shutil.copytree(ROOT / "csrc", sources)
        for layer, tests in itertools.product(LAYERS, sorted(set(TESTS.values()))):
            assert not verdict(layer, tests, sources), f"{tests} fails, unchanged: {layer}"
        for mutant in chosen:
            rows.append({"mutant": mutant.name, "was": mutant.was.strip()})
            rows[-1]["caught_by"] = judge(mutant, sources)
            print(f"{rows[-1]['caught_by']:<16} {mutant.name}", flush=True)
            save("mutation", rows, machine("pytest"))
    print(Counter(row["caught_by"] for row in rows))


if __name__ == "__main__":
    main()
