"""Mutants of the CUDA kernels: one place of one line changed."""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CSRC = Path(__file__).parents[1] / "csrc"
REASONS = Path(__file__).with_name("equivalent_mutants.csv")
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
SURVIVED = "not quick"
"""What the table says of a mutant that only the fast layer has tried, and missed."""
UNSEEN = ("compat.cuh",)
"""Half of it is nvcc's, which the emulator does not compile."""


@dataclass(frozen=True)
class Mutant:
    """One change of one line; the ``nth`` of its file with this line before and after."""

    file: str
    line: int
    was: str
    now: str
    nth: int

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Return what names it when lines above it come and go."""
        return self.file, self.was.strip(), self.now.strip(), str(self.nth)

    @property
    def draw(self) -> str:
        """Return its place in the order in which a file's mutants are tried."""
        return hashlib.sha256("\n".join(self.key).encode()).hexdigest()


def home(file: str, sources: Path) -> Path:
    """Find a kernel's file by its name among the sources; no two have one name."""
    (path,) = sources.rglob(file)
    return path


def changes(line: str) -> Iterator[str]:
    """Yield what becomes of a line."""
    code = line.partition("//")[0]
    if SKIPPED.match(line):
        return
    for pattern, replacement in OPERATORS:
        for found in re.finditer(pattern, code):
            now = replacement if isinstance(replacement, str) else replacement(found)
            yield code[: found.start()] + now + code[found.end() :]


def mutants(file: str) -> list[Mutant]:
    """Make every mutant of a file."""
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for number, line in enumerate(home(file, CSRC).read_text().splitlines(), 1):
        for now in changes(line):
            seen[line.strip(), now.strip()] += 1
            found.append(Mutant(file, number, line, now, seen[line.strip(), now.strip()]))
    return found


def files() -> list[str]:
    """List the sources that have mutants."""
    names = sorted(path.name for path in CSRC.rglob("*.cu*") if path.name not in UNSEEN)
    return [name for name in names if mutants(name)]


def drawn(most: int) -> list[Mutant]:
    """Draw up to ``most`` mutants a file, the same ones for a larger number, ten a file in turn."""
    chosen = {file: sorted(mutants(file), key=lambda one: one.draw)[:most] for file in files()}
    return [
        mutant
        for start in range(0, most, 10)
        for own in chosen.values()
        for mutant in sorted(own[start : start + 10], key=lambda one: one.line)
    ]


def reasons() -> dict[tuple[str, str, str, str], str]:
    """Return why mutants that no layer can notice are none."""
    with REASONS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {(row["file"], row["was"], row["now"], row["nth"]): row["reason"] for row in rows}


def summary(rows: Sequence[Mapping[str, str]], total: int) -> str:
    """Say how many of all mutants were tried, and what noticed them."""
    count = Counter(row["caught_by"].partition(",")[0] for row in rows)
    late = sum("timeout" in row["caught_by"] for row in rows)
    parts = [
        f"The table has {len(rows)} of {total} mutants.",
        f"The plain tests notice {count['quick']} of them,",
        f"the sanitizers {count['sanitized']} more, the checker {count['checked']} more",
        f"({late} by their time);",
        f"{count['does not compile']} do not compile; {count['none']} have no effect to notice.",
    ]
    if count[SURVIVED]:
        parts.append(
            f"The slower layers have not tried {count[SURVIVED]} that the plain tests miss."
        )
    return "\n".join(parts)
