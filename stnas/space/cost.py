"""Costs of architectures: any function of genotypes, and those that are sums over the genes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stnas._core import count_madds
from stnas.space.distribution import CostDistribution, convolve_genes, empirical
from stnas.space.draws import DROPPING, Prior, sample
from stnas.space.genotype import Genotypes, choice_counts
from stnas.space.graph import Arc, Gene
from stnas.space.part import Layer
from stnas.space.prior import check_p_drop

if TYPE_CHECKING:
    from stnas.space.value import SearchSpace

Table = NDArray[np.int64]
SAMPLES = 2**16
"""Architectures that stand for the distribution of a cost with joint terms."""


class Cost(Protocol):
    """What an architecture costs: a name, a unit, and a number for each genotype."""

    @property
    def name(self) -> str: ...
    @property
    def unit(self) -> str: ...

    def __call__(self, genotypes: Genotypes) -> NDArray[Any]:
        """Return the costs ``[n]`` of genotypes ``[n, genes]``."""
        ...


@dataclass(frozen=True, eq=False)
class Joint:
    """A summand that several genes decide together: ``table`` int64 has an axis for each."""

    genes: tuple[int, ...]
    table: Table


@dataclass(frozen=True, eq=False)
class AdditiveCost:
    """``fixed + sum_g table[g, c_g]``, and joint summands where arcs have several conditions.

    table: int64 ``[genes, max_choices]``, zero where a gene has no such choice. Mean and variance
    under ``sample`` are closed forms; the distribution is the convolution of the rows.
    """

    name: str
    unit: str
    genes: tuple[Gene, ...]
    table: Table
    fixed: int
    joints: tuple[Joint, ...] = ()
    prior: Prior = DROPPING

    def __call__(self, genotypes: Genotypes) -> NDArray[np.int64]:
        """Return the costs int64 ``[n]`` of checked genotypes ``[n, genes]``."""
        total: NDArray[np.int64] = count_madds(genotypes, self.table) + self.fixed
        for joint in self.joints:
            total += joint.table[tuple(genotypes[:, gene] for gene in joint.genes)]
        return total

    @property
    def most(self) -> int:
        """Return the cost of the most expensive architecture (no less than it, with joints)."""
        joints = sum(int(joint.table.max()) for joint in self.joints)
        return self.fixed + joints + sum(int(row.max()) for row in self.rows())

    @property
    def least(self) -> int:
        """Return the cost of the cheapest architecture (no more than it, with joints)."""
        joints = sum(int(joint.table.min()) for joint in self.joints)
        return self.fixed + joints + sum(int(row.min()) for row in self.rows())

    def expected(self, p_drop: float) -> float:
        """Return the mean over ``sample`` at ``p_drop``."""
        terms = self._terms(check_p_drop(p_drop))
        return float(np.array([mean for _, _, mean in terms]).sum()) + self.fixed

    def variance(self, p_drop: float) -> float:
        """Return the variance over ``sample`` at ``p_drop``."""
        terms = self._terms(check_p_drop(p_drop))
        chances = self.prior.chances(self.genes, p_drop)
        own = [_covariance(term, term, chances) for term in terms]
        shared = [
            _covariance(first, second, chances)
            for first, second in combinations(terms, 2)
            if self.joints and set(first[0]) & set(second[0])
        ]
        return float(np.array(own).sum()) + 2 * sum(shared)

    def distribution(self, p_drop: float, *, max_points: int) -> CostDistribution:
        """Return the distribution over ``sample`` at ``p_drop``.

        Exact on the grid of the greatest common divisor of all costs; where that grid has more
        than ``max_points`` points, the costs are rounded to a wider one, which keeps the mean. With
        joint summands it is that of 65,536 architectures.
        """
        if self.joints:
            drawn = sample(self.genes, SAMPLES, p_drop=p_drop, seed=0, prior=self.prior)
            return empirical(self(drawn))
        return convolve_genes(
            self.prior.chances(self.genes, check_p_drop(p_drop)),
            self.rows(),
            fixed=self.fixed,
            max_points=max_points,
        )

    def rows(self) -> list[NDArray[np.int64]]:
        """Return what the choices of each gene cost, without joint summands."""
        pairs = zip(self.genes, self.table, strict=True)
        return [row[: len(gene.choices)] for gene, row in pairs]

    def _terms(self, p_drop: float) -> list["Term"]:
        chances = self.prior.chances(self.genes, p_drop)
        single = [((gene,), row) for gene, row in enumerate(self.rows())]
        joint = [(own.genes, own.table) for own in self.joints]
        terms = [(genes, table.astype(np.float64)) for genes, table in [*single, *joint]]
        return [(genes, table, _mean(genes, table, chances)) for genes, table in terms]


Term = tuple[tuple[int, ...], NDArray[np.float64], float]
"""The genes of a summand, its table with an axis for each, and its mean."""
Chances = Sequence[NDArray[np.float64]]


def _mean(genes: Iterable[int], table: NDArray[np.float64], chances: Chances) -> float:
    for gene in reversed(list(genes)):
        table = table @ chances[gene]
    return float(table)


def _covariance(first: Term, second: Term, chances: Chances) -> float:
    """Return ``E[(x - E x) (y - E y)]`` of two summands, over the choices of their genes."""
    genes = sorted({*first[0], *second[0]})
    spread = [_over(term, genes, chances) for term in (first, second)]
    return _mean(genes, spread[0] * spread[1], chances)


def _over(term: Term, genes: Sequence[int], chances: Chances) -> NDArray[np.float64]:
    """Return a summand less its mean with an axis for each of the genes, 1 long if not its own."""
    own, table, mean = term
    ordered = np.transpose(table - mean, np.argsort(own))
    shape = [len(chances[gene]) if gene in own else 1 for gene in genes]
    return np.broadcast_to(ordered.reshape(shape), [len(chances[gene]) for gene in genes])


def additive(
    space: "SearchSpace", name: str, unit: str, *, fixed: int, amount: Callable[[Layer], int]
) -> AdditiveCost:
    """Add up an amount of every layer of every part that a space's arcs carry.

    fixed: what every architecture has besides. Raises ValueError where the largest sum passes
    2**62.
    """

    def cost_of(arc: Arc) -> int:
        layers = {} if arc.part is None else space.parts[arc.part].layers(arc.option)
        return sum(amount(layer) for layer in layers.values())

    carried = [arc for arc in space.arcs if arc.part is not None]
    return summed(
        name,
        unit,
        genes=space.genes,
        arcs=carried,
        fixed=fixed,
        cost_of=cost_of,
        prior=space.prior,
    )


def summed(
    name: str,
    unit: str,
    *,
    genes: tuple[Gene, ...],
    arcs: Sequence[Arc],
    fixed: int,
    cost_of: Callable[[Arc], int],
    prior: Prior = DROPPING,
) -> AdditiveCost:
    """Add up a cost of 0 or more of every arc that is there, and what every architecture has.

    Raises ValueError where the largest sum passes 2**62.
    """
    counts = choice_counts(genes)
    table = np.zeros((len(genes), max(counts, default=1)), np.int64)
    joints: dict[tuple[int, ...], NDArray[Any]] = {}
    most = fixed
    for arc in arcs:
        cost = cost_of(arc)
        most = max(most, fixed + cost)
        _check_size(name, most)
        owners = tuple(gene for gene, _ in arc.when)
        place = tuple(choice for _, choice in arc.when)
        if not owners:
            fixed += cost
        elif len(owners) == 1:
            table[owners[0], place[0]] += cost
        else:
            shape = tuple(int(counts[gene]) for gene in owners)
            joints.setdefault(owners, np.zeros(shape, np.int64))[place] += cost
    found = tuple(Joint(owners, own) for owners, own in joints.items())
    cost_ = AdditiveCost(name, unit, genes, table, fixed, found, prior)
    _check_size(name, cost_.most)
    return cost_


def _check_size(name: str, most: int) -> None:
    if most >= 2**62:
        raise ValueError(
            f"the largest network must cost less than 2**62 {name}, got {most}: reduce"
            " space.widths, space.tail_width or the image size"
        )
