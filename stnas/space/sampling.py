"""Architecture samplers of the supernet's training: pure functions of (seed, step)."""

from collections.abc import Sequence
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from stnas.space.draws import DROPPING, Choices, Chooser, check_integer, generator
from stnas.space.exact_bins import ExactBinSampler
from stnas.space.graph import Gene
from stnas.space.prior import check_p_drop, drop_probabilities
from stnas.space.value import SearchSpace

Kind = Literal["p_drop", "uniform", "bins", "fair", "tilted"]
STEP, FAIR, BINS = 1, 2, 3
"""First counter words, which keep the streams of the samplers apart."""
BLOCK, BLOCKS = 64, 64
"""Genotypes per rejection round, and rounds before a bin counts as unreachable."""


class Sampler(Protocol):
    """Give the architecture of each step, the same on every rank."""

    def genotype(self, step: int) -> NDArray[np.int8]:
        """Return the genotype ``[genes]`` of a step, a function of (seed, step) alone."""
        ...


class IndependentSampler:
    """Draw every gene by itself: ``choose`` turns uniform numbers ``[genes]`` into a genotype."""

    def __init__(self, choose: Chooser, genes: int, *, seed: int) -> None:
        """Keep how genes are chosen, their number and the seed."""
        self.choose, self.genes, self.seed = choose, genes, seed

    def genotype(self, step: int) -> NDArray[np.int8]:
        """Return the genotype of a step (Guo et al. 2020, equations 2 and 3 or 5)."""
        check_integer("step", step, least=0, below=2**63)
        return self.choose(generator(self.seed, STEP, step).random(self.genes))


class FairSampler:
    """Offer each operation of a gene once in a window of as many steps as it has operations.

    Windows are ``[k I, (k + 1) I)`` with I the number of the gene's operations. An optional gene is
    still 0 with p_drop, independently. Strict fairness: Chu et al. 2019 (FairNAS), section 3.2.
    """

    def __init__(self, genes: Sequence[Gene], p_drop: float, *, seed: int) -> None:
        """Group the genes by their number of operations."""
        self.seed = seed
        self.drop = drop_probabilities(genes, p_drop)
        self.optional = np.array([gene.optional for gene in genes])
        counts = np.array([gene.operations for gene in genes])
        self.groups = {int(c): np.flatnonzero(counts == c) for c in np.unique(counts)}

    def genotype(self, step: int) -> NDArray[np.int8]:
        """Return the genotype of a step."""
        check_integer("step", step, least=0, below=2**63)
        offered = np.empty(len(self.drop), np.int64)
        for count, genes in self.groups.items():
            window, place = divmod(int(step), count)
            keys = generator(self.seed, FAIR, window, count).random((len(genes), count))
            offered[genes] = np.argsort(keys, axis=1, kind="stable")[:, place]
        dropped = generator(self.seed, STEP, step).random(len(self.drop)) < self.drop
        return np.where(dropped, 0, offered + self.optional).astype(np.int8)


class BinSampler:
    """Spread the MAdds evenly: draw a bin, then an architecture inside it.

    The bins have equal width between the 1 % and 99 % quantiles of the MAdds at p_drop. A bin is
    drawn uniformly; genotypes are drawn with the p_drop whose expectation is the bin's middle,
    clipped to [0, 1], until one falls inside.
    """

    def __init__(self, space: SearchSpace, p_drop: float, *, bins: int, seed: int) -> None:
        """Set the bins up and try each one; raise ValueError where one cannot be reached."""
        self.space, self.seed = space, seed
        self.bounds = even_bounds(space, p_drop, bins)
        middles = (self.bounds[:-1] + self.bounds[1:]) / 2
        drops = [drop_probabilities(space.genes, self._solve(m, p_drop)) for m in middles]
        self.choices = [Choices(space.genes, drop) for drop in drops]
        for index in range(bins):
            self._draw(generator(seed, BINS, 2**63, index), index)

    def genotype(self, step: int) -> NDArray[np.int8]:
        """Return the genotype of a step."""
        check_integer("step", step, least=0, below=2**63)
        stream = generator(self.seed, BINS, step)
        return self._draw(stream, int(stream.integers(len(self.choices))))

    def _solve(self, madds: float, p_drop: float) -> float:
        high, low = self.space.expected_madds(0.0), self.space.expected_madds(1.0)
        if high == low:
            return p_drop
        return float(np.clip((high - madds) / (high - low), 0, 1))

    def _draw(self, stream: np.random.Generator, index: int) -> NDArray[np.int8]:
        low, high = self.bounds[index], self.bounds[index + 1]
        for _ in range(BLOCKS):
            uniform = stream.random((BLOCK, self.space.num_genes))
            genotypes = self.choices[index](uniform)
            madds = self.space.madds(genotypes)
            inside = np.flatnonzero((low <= madds) & (madds <= high))
            if inside.size:
                return np.ascontiguousarray(genotypes[inside[0]])
        raise ValueError(
            f"bins must each hold architectures, got none in {BLOCK * BLOCKS} draws with MAdds in"
            f" [{low:,.0f}, {high:,.0f}]: use fewer than {len(self.choices)} bins"
        )


def even_bounds(space: SearchSpace, p_drop: float, bins: int) -> NDArray[np.float64]:
    """Return the ends of bins of equal width between the 1 % and 99 % quantiles of the MAdds."""
    spread = space.madds_distribution(p_drop, max_points=2**16)
    bounds = np.linspace(spread.quantile(0.01), spread.quantile(0.99), bins + 1)
    if bounds[0] == bounds[-1]:
        raise ValueError(
            f"bins must divide a range of MAdds, got networks that all cost {bounds[0]}:"
            " use the sampler p_drop"
        )
    return bounds


def make_sampler(
    space: SearchSpace,
    kind: Kind,
    *,
    p_drop: float,
    seed: int,
    bins: int = 8,
    bounds: Sequence[float] | None = None,
) -> Sampler:
    """Return the sampler of one kind; all of them are functions of (seed, step).

    p_drop: equations 2 and 5 of Guo et al. 2020; tilted: the same where nothing may be left out.
    uniform: equations 2 and 3, ``p_drop`` unused. fair: FairSampler. bins: BinSampler with ``bins``
    bins, in chains ExactBinSampler with those between ``bounds``, by default ``bins`` of one width.
    """
    p_drop = check_p_drop(p_drop)
    check_integer("seed", seed, least=0, below=2**64)
    check_integer("bins", bins, least=1, below=2**16)
    if kind == "tilted" and space.num_topologies > 1:
        raise ValueError(
            "train.sampling must be p_drop where edges may be left out, got tilted: p_drop aims"
            " there; set --train.sampling p_drop"
        )
    if kind in ("p_drop", "tilted"):
        choose = space.prior.chooser(space.genes, p_drop)
        return IndependentSampler(choose, space.num_genes, seed=seed)
    if kind == "uniform":
        even = [gene.optional and 1 / len(gene.choices) for gene in space.genes]
        choices = Choices(space.genes, np.array(even, np.float64))
        return IndependentSampler(choices, space.num_genes, seed=seed)
    if kind == "fair":
        return FairSampler(space.genes, p_drop, seed=seed)
    if kind == "bins":
        return _bins(space, p_drop, bins=bins, bounds=bounds, seed=seed)
    raise ValueError(
        f"kind must be one of {', '.join(get_args(Kind))}, got {kind!r}: correct the name"
    )


def _bins(
    space: SearchSpace, p_drop: float, *, bins: int, bounds: Sequence[float] | None, seed: int
) -> Sampler:
    """Return the sampler of bins: by counting where the prior or given bounds ask for it."""
    if bounds is not None:
        if space.num_topologies > 1 or space.madds_cost.joints:
            raise ValueError(
                "train.madds_bins must be left out where edges may be left out, got"
                f" {tuple(bounds)}: the bins there are quantiles of the multiply-adds"
            )
        return ExactBinSampler(space.madds_cost, bounds, seed=seed)
    if space.prior is not DROPPING:
        even = even_bounds(space, p_drop, bins).tolist()
        return ExactBinSampler(space.madds_cost, even, seed=seed)
    return BinSampler(space, p_drop, bins=bins, seed=seed)
