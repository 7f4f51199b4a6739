"""``Genotype(normal=[('sep_conv_3x3', 0), ...], ...)``: the texts of DARTS's authors, and cells."""

import ast
from itertools import combinations

from stnas.space.genotype import Genotype

PUBLISHED = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""In the order of the choices."""
KINDS = ("normal", "reduce")
NODES = (2, 3, 4, 5)
PAIRS = {node: tuple(combinations(range(node), 2)) for node in NODES}
"""The pairs of inputs that a node may have, by the node."""
Cell = dict[int, tuple[tuple[int, int], tuple[int, int]]]
"""Of each node its two (input, operation), sorted."""


def read(text: str) -> list[int] | None:
    """Read a text of the authors as choices; None unless it begins like one.

    It is parsed as a literal and never run; ValueError for what is no cell of this space.
    """
    if not text.strip().startswith("Genotype("):
        return None
    try:
        call = ast.parse(text.strip(), mode="eval").body
        assert isinstance(call, ast.Call)
        given = {str(word.arg): _literal(word.value) for word in call.keywords}
    except (SyntaxError, ValueError, AssertionError, TypeError, RecursionError, MemoryError):
        raise ValueError(
            "genotype must read Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=...,"
            f" reduce=[...], reduce_concat=...), got {text[:60]!r}: copy the whole text"
        ) from None
    for kind in KINDS:
        joined = given.get(f"{kind}_concat", NODES)
        if not isinstance(joined, list | tuple | range) or list(joined) != list(NODES):
            raise ValueError(
                f"genotype must have {kind}_concat [2, 3, 4, 5], got {joined!r}: a cell's result is"
                " all of its four nodes here"
            )
    return [gene for kind in KINDS for gene in choices(cell_of(given.get(kind), kind))]


def _literal(node: ast.expr) -> object:
    """Return the value of a literal, or of ``range(2, 6)``; ValueError for other code."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        return range(*(int(ast.literal_eval(argument)) for argument in node.args))
    return ast.literal_eval(node)


def cell_of(pairs: object, kind: str) -> Cell:
    """Return the cell of a list of (operation, input), two a node."""
    if not isinstance(pairs, list | tuple) or len(pairs) != 2 * len(NODES):
        raise ValueError(
            f"genotype must have 8 pairs (operation, input) as {kind}, got"
            f" {len(pairs) if isinstance(pairs, list | tuple) else pairs!r}: copy the whole text"
        )
    cell: Cell = {}
    for place, node in enumerate(NODES):
        first, second = (_pair(own, node, kind) for own in pairs[2 * place : 2 * place + 2])
        if first[0] == second[0]:
            raise ValueError(
                f"genotype must have two different inputs for each node of {kind}, got input"
                f" {first[0]} twice for node {node}: correct one"
            )
        cell[node] = (min(first, second), max(first, second))
    return cell


def _pair(own: object, node: int, kind: str) -> tuple[int, int]:
    """Return (input, operation) of a pair of the authors."""
    if not isinstance(own, list | tuple) or len(own) != 2 or own[0] not in PUBLISHED[1:]:
        raise ValueError(
            f"genotype must have operations among {', '.join(PUBLISHED[1:])}, got {own!r} in"
            f" {kind}: correct it"
        )
    source = own[1]
    if not isinstance(source, int) or isinstance(source, bool) or not 0 <= source < node:
        raise ValueError(
            f"genotype must have inputs below {node} for node {node}, got {own!r} in {kind}:"
            f" name one of {', '.join(map(str, range(node)))}"
        )
    return source, PUBLISHED.index(own[0])


def choices(cell: Cell) -> list[int]:
    """Return the genes of a cell: for each node its pair of inputs and their operations."""
    found = []
    for node in NODES:
        (first, one), (second, other) = cell[node]
        found += [PAIRS[node].index((first, second)), one - 1, other - 1]
    return found


def cells(genotype: Genotype) -> tuple[Cell, Cell]:
    """Return the normal and the reduction cell of a genotype ``[24]``."""
    genes, found = genotype.tolist(), []
    for start in (0, 12):
        cell: Cell = {}
        for place, node in enumerate(NODES):
            pair, one, other = genes[start + 3 * place : start + 3 * place + 3]
            first, second = PAIRS[node][pair]
            cell[node] = ((first, one + 1), (second, other + 1))
        found.append(cell)
    return found[0], found[1]


def write(genotype: Genotype) -> str:
    """Write a genotype ``[24]`` as the authors do."""
    words = []
    for kind, cell in zip(KINDS, cells(genotype), strict=True):
        pairs = [(PUBLISHED[operation], i) for node in NODES for i, operation in cell[node]]
        words.append(f"{kind}={pairs!r}, {kind}_concat={list(NODES)!r}")
    return f"Genotype({', '.join(words)})"
