"""``|nor_conv_3x3~0|+|none~0|skip_connect~1|+|...|``: the texts of NAS-Bench-201's authors."""

from stnas.space.genotype import Genotype

PUBLISHED = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""In the order of the choices."""
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""In gene order: source and target of each edge of a cell."""


def read(text: str) -> list[int] | None:
    """Read a text of the benchmark, ``|nor_conv_3x3~0|+|none~0|skip_connect~1|+|...|``, as choices.

    None unless it begins like one; ValueError for a wrong one. The operations of a node may stand
    in any order.
    """
    if not text.strip().startswith("|"):
        return None
    nodes = [node.strip().strip("|").split("|") for node in text.strip().split("+")]
    if [len(node) for node in nodes] != [1, 2, 3]:
        raise ValueError(
            "cell must have three nodes of 1, 2 and 3 operations, such as |skip_connect~0|+"
            f"|none~0|nor_conv_3x3~1|+|none~0|none~1|avg_pool_3x3~2|, got {text!r}: copy the"
            " whole text"
        )
    found = {}
    for target, node in enumerate(nodes, start=1):
        for word in node:
            source, operation = _operation(word, target)
            found[source, target] = operation
    if set(found) != set(EDGES):
        raise ValueError(
            f"cell must name each input of a node once, got {text!r}: copy the whole text"
        )
    return [found[edge] for edge in EDGES]


def write(genotype: Genotype) -> str:
    """Write a genotype ``[6]`` as the benchmark does."""
    operations = dict(zip(EDGES, genotype.tolist(), strict=True))
    nodes = ("|".join(f"{PUBLISHED[operations[i, j]]}~{i}" for i in range(j)) for j in range(1, 4))
    return "+".join(f"|{node}|" for node in nodes)


def _operation(word: str, target: int) -> tuple[int, int]:
    """Read ``nor_conv_3x3~0``, an operation of a node, as its input and its number."""
    name, _, source = word.partition("~")
    if name not in PUBLISHED:
        raise ValueError(
            f"cell must have operations among {', '.join(PUBLISHED)}, got {name!r}: correct it"
        )
    if not source.isdecimal() or int(source) >= target:
        raise ValueError(
            f"cell must have inputs below {target} for node {target}, got {word!r}: name one of"
            f" {', '.join(f'~{i}' for i in range(target))}"
        )
    return int(source), PUBLISHED.index(name)
