"""Candidates of an edge as sequences of modules, and what they compute together: the rewrite.

Sharing, after TopoNAS (arXiv 2408.01311), whose formulas are not public: the algebra here is this
package's. docs/toponas.md tells which levels leave the function as it is.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stnas.config.sharing import LEVELS, Level

FREE = ("relu", "average", "maximum")
"""Modules without parameters that may come first."""
DENSE = ("conv", "pointwise", "halved")
"""Modules whose every output reads every input."""


class Module(NamedTuple):
    """One module of a candidate; stride, grid (dilation) and kernel size as in a convolution.

    kind: ``relu``, ``bn``, ``conv``, ``depthwise``, ``pointwise``, ``average``, ``maximum`` (pools
    with their BN where ``norm`` holds). pixels: of the result, whose multiply-adds it counts.
    """

    kind: str
    before: int
    after: int
    pixels: int
    kernel: int = 1
    stride: int = 1
    grid: int = 1
    norm: bool = False

    @property
    def madds(self) -> int:
        """Return the multiply-adds of an image."""
        weights = dict.fromkeys(DENSE, self.before) | {"depthwise": 1}
        return weights.get(self.kind, 0) * self.after * self.kernel**2 * self.pixels

    @property
    def has_kernel(self) -> bool:
        """Tell whether it has weights."""
        return self.kind in (*DENSE, "depthwise")


Sequence_ = tuple[Module, ...]
"""A candidate; the identity has no modules."""


class Link(NamedTuple):
    """A link of a branch: a module that all members have, or one a member, of different kernels.

    merged: their kernels become one before it is applied.
    """

    modules: tuple[Module, ...]
    merged: bool = False

    @property
    def applied(self) -> tuple[Module, ...]:
        """Return what is computed: one module of the largest kernel where they are merged."""
        if self.merged:
            return (max(self.modules, key=lambda module: module.kernel),)
        return self.modules


class Branch(NamedTuple):
    """Candidates whose sequences are alike, computed as one; members: their numbers."""

    members: tuple[int, ...]
    links: tuple[Link, ...]


class Group(NamedTuple):
    """Branches whose results are added, and the modules that follow the sum."""

    branches: tuple[Branch, ...]
    tail: tuple[Module, ...] = ()

    @property
    def members(self) -> tuple[int, ...]:
        """Return the candidates of all branches."""
        return tuple(member for branch in self.branches for member in branch.members)


@dataclass(frozen=True)
class Mixed:
    """An edge on which all candidates are mixed.

    row: of the architecture parameters. keys: of the candidates' parts, in the order of the
    choices, None where there is none. sequences: their modules; None computes nothing.
    """

    source: int
    target: int
    row: int
    keys: tuple[str | None, ...]
    sequences: tuple[Sequence_ | None, ...]


def rewrite(sequences: Sequence[Sequence_ | None], level: Level) -> tuple[Group, ...]:
    """Group the candidates of an edge as a level of sharing says."""
    rank = LEVELS.index(level)
    alike: dict[tuple[Module, ...], list[int]] = {}
    for number, sequence in enumerate(sequences):
        if sequence is not None:
            form = tuple(module._replace(kernel=0) for module in sequence)
            place = form if rank >= 2 and sequence else (*form, Module(str(number), 0, 0, 0))
            alike.setdefault(place, []).append(number)
    branches = []
    for members in alike.values():
        columns = zip(*(sequences[member] or () for member in members), strict=True)
        links = tuple(_link(tuple(dict.fromkeys(column)), column, rank) for column in columns)
        branches.append(Branch(tuple(members), links))
    return tuple(_joined(branches) if rank >= 4 else (Group((branch,)) for branch in branches))


def _link(different: tuple[Module, ...], column: tuple[Module, ...], rank: int) -> Link:
    return Link(different[:1]) if len(different) == 1 else Link(column, merged=rank >= 3)


def _joined(branches: Iterable[Branch]) -> Iterator[Group]:
    """Let branches that end in a depthwise convolution, one pointwise and BN share the latter."""
    waiting: dict[tuple[Module, ...], list[Branch]] = {}
    for branch in branches:
        kinds = [link.modules[0].kind for link in branch.links[-3:]]
        if kinds == ["depthwise", "pointwise", "bn"]:
            tail = tuple(link.modules[0] for link in branch.links[-2:])
            waiting.setdefault(tail, []).append(branch._replace(links=branch.links[:-2]))
        else:
            yield Group((branch,))
    for tail, own in waiting.items():
        yield Group(tuple(own), tail)


def computed(edges: Iterable[Mixed], level: Level) -> list[Module]:
    """List every module that a pass through mixed edges computes, each once."""
    found: list[Module] = []
    first = set[tuple[int, Module]]()
    for edge in edges:
        for group in rewrite(edge.sequences, level):
            for branch in group.branches:
                links = branch.links
                if links and level != "none" and links[0].modules[0].kind in FREE:
                    first.add((edge.source, links[0].modules[0]))
                    links = links[1:]
                found += [module for link in links for module in link.applied]
            found += group.tail
    return [*found, *(module for _, module in first)]


def module_counts(edges: Iterable[Mixed], level: Level) -> Counter[str]:
    """Count the modules that a pass computes, by kind."""
    return Counter(module.kind for module in computed(edges, level))


def explained(edge: Mixed, names: Sequence[str], level: Level) -> list[str]:
    """Write a rewritten edge as formulas, a line a group; names: of the candidates."""
    return [_formula(group, names) for group in rewrite(edge.sequences, level)]


def _formula(group: Group, names: Sequence[str]) -> str:
    weight = f"a({'+'.join(names[member] for member in group.members)})"
    inner = [_chain(branch, names) for branch in group.branches]
    value = inner[0]
    if len(inner) > 1:
        shares = ["+".join(names[m] for m in branch.members) for branch in group.branches]
        value = " + ".join(f"g({own}) {text}" for own, text in zip(shares, inner, strict=True))
        value = f"[{value}]"
    for module in group.tail:
        value = f"{module.kind}({value})"
    return f"{weight} {value}"


def _chain(branch: Branch, names: Sequence[str]) -> str:
    value = "x"
    for link in branch.links:
        kinds = [f"{m.kind}{m.kernel if m.kernel > 1 else ''}" for m in link.modules]
        if len(kinds) == 1:
            value = f"{kinds[0]}({value})"
        else:
            weighted = zip(branch.members, kinds, strict=True)
            terms = [f"b({names[member]}) {kind}" for member, kind in weighted]
            value = f"({' + '.join(terms)})({value})"
    return value
