"""Mutants of the package's Python code: one expression or statement of one file changed."""

import ast
import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "stnas"
PLANTED = Path(__file__).with_name("planted_bugs.csv")
REASONS = Path(__file__).with_name("equivalent_python_mutants.csv")
PACKAGES = (
    "classifier", "cli", "config", "data", "evaluate", "export", "group", "init", "latency",
    "learn", "ops", "pipeline", "predict", "rank", "report", "retrain", "runs", "search", "sgld",
    "space", "store", "supernet", "train", "verdict",
)  # fmt: skip
OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "*", ast.Mod: "//",
    ast.Pow: "*", ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=",
    ast.NotEq: "==", ast.In: "not in", ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is",
    ast.And: "or", ast.Or: "and", ast.BitAnd: "|", ast.BitOr: "&",
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list"}


@cache
def read(file: str) -> str:
    """Read a file of the package, once."""
    return (PACKAGE / file).read_text()


@dataclass(frozen=True)
class Mutant:
    """A file of the package, and what becomes of the characters ``[start, end)`` of it."""

    file: str
    start: int
    end: int
    now: str

    @property
    def source(self) -> str:
        """Return the file as it is."""
        return read(self.file)

    @property
    def text(self) -> str:
        """Return the file as it becomes."""
        source = self.source
        return source[: self.start] + self.now + source[self.end :]

    @property
    def line(self) -> int:
        """Return the line that is changed."""
        return self.source.count("\n", 0, self.start) + 1

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what names it when lines above it come and go: file, line before and after."""
        return self.file, *(text.splitlines()[self.line - 1].strip() for text in self.texts)

    @property
    def texts(self) -> tuple[str, str]:
        """Return the file before and after; a deleted line leaves an empty one."""
        return self.source, self.text + "\n"

    @property
    def draw(self) -> str:
        """Return its place in the order in which mutants are tried."""
        return hashlib.sha256("\n".join(self.key).encode()).hexdigest()


def left_alone(node: ast.AST) -> bool:
    """Tell whether nothing below a node is changed: words of messages, annotations, invariants."""
    if isinstance(node, ast.keyword):
        return node.arg == "strict"
    return isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert | ast.arg | ast.AnnAssign)


def joins_paths(node: ast.BinOp) -> bool:
    """Tell whether a slash stands between names of files."""
    words = (node.left, node.right)
    return any(isinstance(w, ast.JoinedStr | ast.Constant) and not number(w) for w in words)


def number(node: ast.AST) -> bool:
    """Tell whether a node is a number that is written down."""
    return isinstance(node, ast.Constant) and type(node.value) in (bool, int, float)


def changes(node: ast.AST, source: str) -> Iterator[tuple[ast.AST, str]]:
    """Yield what of a node is changed, and to what."""

    def text(part: ast.AST) -> str:
        return ast.get_source_segment(source, part) or ""

    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS and not joins_paths(node):
        yield node, f"{text(node.left)} {OPERATORS[type(node.op)]} {text(node.right)}"
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        sides = text(node.left), OPERATORS[type(node.ops[0])], text(node.comparators[0])
        yield node, " ".join(sides)
    if isinstance(node, ast.BoolOp):
        yield node, f" {OPERATORS[type(node.op)]} ".join(f"({text(v)})" for v in node.values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node, text(node.operand)
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        yield node.test, f"not ({text(node.test)})"
    if isinstance(node, ast.Constant) and number(node):
        value = not node.value if isinstance(node.value, bool) else node.value + 1
        yield node, repr(value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES:
        yield node.func, NAMES[node.func.id]
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield node, "pass"
    if isinstance(node, ast.Return) and node.value is not None:
        yield node, "return None"


def below(node: ast.AST) -> Iterator[ast.AST]:
    """Walk through what may be changed."""
    for child in ast.iter_child_nodes(node):
        if not left_alone(child):
            yield child
            yield from below(child)


def offsets(source: str) -> list[int]:
    """Return where each line begins, in bytes."""
    starts = [0]
    for line in source.encode().split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    return starts


def mutants(file: str) -> list[Mutant]:
    """Make every mutant of a file, each key once."""
    source = read(file)
    starts, raw = offsets(source), source.encode()
    found: dict[tuple[str, ...], Mutant] = {}
    for node in below(ast.parse(source)):
        for part, now in changes(node, source):
            first, last = ((part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset))
            start, end = (len(raw[: starts[n - 1] + c].decode()) for n, c in (first, last))
            if source[start:end] != now:
                mutant = Mutant(file, start, end, now)
                found.setdefault(mutant.key, mutant)
    return list(found.values())


def in_turn(package: str) -> list[Mutant]:
    """Order a package's mutants: one of each module in turn, by chance within a module."""
    placed = []
    for path in (PACKAGE / package).rglob("*.py"):
        own = sorted(mutants(path.relative_to(PACKAGE).as_posix()), key=lambda mutant: mutant.draw)
        placed += [(turn, mutant.draw, mutant) for turn, mutant in enumerate(own)]
    return [mutant for *_, mutant in sorted(placed, key=lambda place: place[:2])]


def drawn(most: int) -> list[Mutant]:
    """Draw ``most`` mutants of each package, the same ones for a larger number, in turn."""
    own = {name: in_turn(name) for name in PACKAGES}
    return [own[name][i] for i in range(most) for name in PACKAGES if i < len(own[name])]


def planted() -> list[tuple[str, Mutant, str]]:
    """List the bugs that were planted by hand: words, mutant, tests; ValueError: a stale one."""
    with PLANTED.open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for row in rows:
        source = read(row["file"])
        if source.count(row["was"]) != 1:
            raise ValueError(f"planted_bugs.csv: {row['bug']}: {row['file']} has no such text once")
        start = source.index(row["was"])
        mutant = Mutant(row["file"], start, start + len(row["was"]), row["now"])
        found.append((row["bug"], mutant, row["test"]))
    return found


def reasons() -> dict[tuple[str, str, str], str]:
    """Return why mutants that no test can notice are none."""
    with REASONS.open(newline="") as file:
        return {(r["file"], r["was"], r["now"]): r["reason"] for r in csv.DictReader(file)}
