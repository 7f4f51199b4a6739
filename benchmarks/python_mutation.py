"""Change the package's Python code in one place at a time and see whether the tests notice.

    nice python benchmarks/python_mutation.py [--most 8] [--again] [--behind] [--planted]

``--most`` draws that many mutants of each package, evenly over its modules, the same ones each
time and those of a smaller number among them. Each is made in a copy of the package and run through
the quick tests of its package, all quick tests and all tests of its package; with ``--behind`` also
through those of the stages behind it, which takes long. What was tried is kept in
benchmarks/results/python_mutation.csv as it comes in: the same command goes on; ``--again`` tries
what survived once more. ``--planted`` tries the bugs of benchmarks/planted_bugs.csv with the test
that each names. The exit code is 1 where a survivor has no reason in
benchmarks/equivalent_python_mutants.csv.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from python_mutants import PACKAGE, PACKAGES, Mutant, drawn, mutants, planted, reasons
from record import RESULTS, load, machine, save

ROOT = PACKAGE.parent
NO_TESTS = 5
"""Status of pytest where none of the tests is a quick one."""
SECONDS = 1800
"""What the slowest group of tests takes is a third of it; a mutant that never ends takes longer."""
OWN = {
    "config": "cli data/test_config.py",
    "train": "train golden",
    "data": "data test_hostile_input.py",
}
"""Tests of a package, where they are not the folder of its name."""
BEHIND = "golden test_parts_of_the_images.py train sgld search verdict retrain rank learn report"
"""Tests of all that works on what a package gives, fastest first."""
Row = dict[str, str]


class Bench:
    """A copy of the package that the tests import."""

    def __init__(self, folder: Path) -> None:
        self.package = folder / "stnas"
        shutil.copytree(PACKAGE, self.package, ignore=shutil.ignore_patterns("__pycache__"))
        self.environment = os.environ | {
            "PYTHONPATH": str(folder),
            "PYTHONSAFEPATH": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
        }

    def noticed_by(self, mutant: Mutant, tests: Sequence[Sequence[str]]) -> str:
        """Return the first test that fails, of the first of some groups that has one; "": none."""
        place = self.package / mutant.file
        place.write_text(mutant.text)
        try:
            return next(filter(None, map(self.failed, tests)), "")
        finally:
            place.write_text(mutant.source)

    def failed(self, tests: Sequence[str]) -> str:
        """Return the first test that fails."""
        command = [sys.executable, "-m", "pytest", "-xq", "-p", "no:cacheprovider", *tests]
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=self.environment, capture_output=True, text=True,
                timeout=SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return "timeout"
        if done.returncode in (0, NO_TESTS):
            return ""
        lines = [x for x in done.stdout.splitlines() if x.startswith(("FAILED ", "ERROR "))]
        return lines[0].split()[1] if lines else f"pytest ended with {done.returncode}"


def groups(mutant: Mutant, *, behind: bool) -> list[list[str]]:
    """Name the tests of a mutant's package, all quick ones, then those behind it."""
    package = mutant.file.partition("/")[0]
    own = [f"tests/{name}" for name in OWN.get(package, package).split()]
    later = [f"tests/{name}" for name in BEHIND.split() if f"tests/{name}" not in own]
    quick = [["-m", "quick", *own], ["-m", "quick"]]
    return [*quick, [*own, "--deselect=tests/store/test_disasters.py"], *[later] * behind]


def row(mutant: Mutant, caught_by: str) -> Row:
    """Return a row of the table."""
    file, was, now = mutant.key
    why = "" if caught_by else reasons().get(mutant.key, "")
    place = {"file": file, "line": str(mutant.line), "was": was, "now": now}
    return place | {"caught_by": caught_by or "none", "reason": why}


def summary(rows: Sequence[Row], total: int) -> str:
    """Say how many of all mutants were tried, and how many were noticed."""
    caught = sum(row["caught_by"] != "none" for row in rows)
    without = sum(row["caught_by"] == "none" and not row["reason"] for row in rows)
    by = Counter(row["file"].partition("/")[0] for row in rows)
    names = ", ".join(f"{name} {by[name]}" for name in PACKAGES)
    return (
        f"{len(rows)} of {total} mutants were tried ({names}): the tests notice {caught}; of the "
        f"{len(rows) - caught} others {without} have no reason why nothing can."
    )


def try_planted(bench: Bench) -> bool:
    """Plant every bug of the list, and tell whether each was noticed."""
    every = True
    for bug, mutant, tests in planted():
        by = bench.noticed_by(mutant, [tests.split()])
        every = every and bool(by)
        print(f"{by or 'SURVIVED'}: {bug}", flush=True)
    return every


def tried(*, again: bool) -> dict[tuple[str, str, str], str]:
    """Return what was found of mutants, those that survived without a reason left out ``again``."""
    if not (RESULTS / "python_mutation.csv").exists():
        return {}
    rows = load("python_mutation")
    kept = [r for r in rows if not again or r["caught_by"] != "none" or r["reason"]]
    return {(r["file"], r["was"], r["now"]): r["caught_by"] for r in kept}


def try_drawn(bench: Bench, most: int, *, again: bool, behind: bool) -> bool:
    """Try what was drawn and not tried yet; tell whether all survivors have a reason."""
    known = tried(again=again)
    total = sum(
        len(mutants(path.relative_to(PACKAGE).as_posix()))
        for name in PACKAGES
        for path in (PACKAGE / name).rglob("*.py")
    )
    rows: list[Row] = []
    for mutant in drawn(most):
        by = known.get(mutant.key) or bench.noticed_by(mutant, groups(mutant, behind=behind))
        rows.append(row(mutant, "" if by == "none" else by))
        print(f"{len(rows)} {by or 'SURVIVED'}: {rows[-1]}", flush=True)
        save("python_mutation", rows, machine("pytest") | {"mutants_in_all": total})
    print(summary(rows, total))
    return all(row["caught_by"] != "none" or row["reason"] for row in rows)


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--most", type=int, default=8, help="mutants of a package")
    parser.add_argument("--again", action="store_true", help="try what survived once more")
    parser.add_argument("--behind", action="store_true", help="the stages' tests, too")
    parser.add_argument("--planted", action="store_true", help="the bugs planted by hand")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        if options.planted:
            done = try_planted(bench)
        else:
            done = try_drawn(bench, options.most, again=options.again, behind=options.behind)
    sys.exit(not done)


if __name__ == "__main__":
    main()
