"""Which architectures may be evaluated: inside the bounds, and each network once."""

from collections.abc import Iterator
from copy import copy

import numpy as np
from numpy.typing import NDArray

from stnas.config import SearchConfig
from stnas.space import AdditiveCost, Genotype, Genotypes, SearchSpace

PATIENCE = 1000
"""Known networks in a row after which a source of proposals is left."""
DRAW = 2048
DRAWS = 64
EVERYWHERE = (-np.inf, np.inf)
"""A window without ends."""


class Bounds:
    """Windows of multiply-adds and parameters; ValueError where they hold no architecture."""

    def __init__(self, space: SearchSpace, config: SearchConfig) -> None:
        self.space = space
        self.madds = window(config.madds_min, config.madds_max)
        self.params = window(config.params_min, config.params_max)
        check_reachable(self.madds, space.madds_cost)
        check_reachable(self.params, space.params_cost)

    def narrowed(self, low: float, high: float) -> "Bounds":
        """Return bounds whose MAdds also lie in ``[low, high]``."""
        bounds = copy(self)
        bounds.madds = max(self.madds[0], low), min(self.madds[1], high)
        return bounds

    def hold(self, genotypes: Genotypes) -> NDArray[np.bool_]:
        """Tell which genotypes ``[n, genes]`` lie inside both windows."""
        inside = np.ones(len(genotypes), np.bool_)
        for ends, count in ((self.madds, self.space.madds), (self.params, self.space.params)):
            if ends != EVERYWHERE:
                costs = count(genotypes)
                inside &= (costs >= ends[0]) & (costs <= ends[1])
        return inside

    def p_drops(self, p_drop: float) -> list[float]:
        """List the p_drops to sample with: the sampler's, and those that aim into the window."""
        most = self.space.expected_madds(0.0)
        low, high = (min(max(end, 0.0), most) for end in self.madds)
        middle = (low + high) / 2
        return [p_drop, *(self.space.nearest_p_drop(madds) for madds in (middle, low, high))]


def window(low: float | None, high: float | None) -> tuple[float, float]:
    """Return a window's ends, infinite where none is given."""
    return (-np.inf if low is None else low, np.inf if high is None else high)


def check_reachable(bounds: tuple[float, float], cost: AdditiveCost) -> None:
    """Raise unless the window overlaps what the space can reach."""
    least, most = cost.least, cost.most
    if bounds[0] > most or bounds[1] < least:
        raise ValueError(
            f"search.{cost.name}_min and search.{cost.name}_max must leave some architecture: the "
            f"window [{bounds[0]:,.0f}, {bounds[1]:,.0f}] misses what the space reaches, "
            f"[{least:,}, {most:,}]: choose a window inside"
        )


def feasible_samples(
    bounds: Bounds, *, p_drop: float, rng: np.random.Generator
) -> Iterator[NDArray[np.int8]]:
    """Draw random genotypes ``[genes]`` inside the bounds; stop when too few are found."""
    p_drops = bounds.p_drops(p_drop)
    for i in range(DRAWS):
        p = p_drops[0] if i == 0 else p_drops[i % len(p_drops)]
        drawn = bounds.space.sample(DRAW, p_drop=p, seed=int(rng.integers(2**63)))
        yield from drawn[bounds.hold(drawn)]


class Archive:
    """The networks that were proposed, by canonical form."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.keys: set[str] = set()

    def add(self, genotype: NDArray[np.int8]) -> bool:
        """Add a network; False if it was there."""
        key = str(self.space.canonical(genotype[None])[0])
        if key in self.keys:
            return False
        self.keys.add(key)
        return True


def unseen(sources: list[Iterator[Genotype]], seen: Archive, count: int) -> list[Genotype]:
    """Take up to ``count`` networks that were not proposed before, from the first source that has
    any left.
    """
    taken: list[Genotype] = []
    for source in sources:
        known = 0
        while len(taken) < count and known < PATIENCE:
            genotype = next(source, None)
            if genotype is None:
                break
            new = seen.add(genotype)
            known = 0 if new else known + 1
            taken += [genotype] if new else []
    return taken
