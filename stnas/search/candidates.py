"""Which architectures may be evaluated: inside the bounds, and each network once."""

from collections.abc import Iterator
from copy import copy

import numpy as np
from numpy.typing import NDArray

from stnas.config import SearchConfig
from stnas.config.search import parse_bound
from stnas.space import AdditiveCost, Cost, Genotype, Genotypes, SearchSpace

PATIENCE = 1000
"""Known networks in a row after which a source of proposals is left."""
DRAW = 2048
DRAWS = 64
EVERYWHERE = (-np.inf, np.inf)
"""A window without ends."""


class Bounds:
    """Windows of costs; ValueError where they hold no architecture.

    ends: of every cost of the space, by name, infinite where it is free. cost: that which is an
    objective and has the limits.
    """

    def __init__(self, space: SearchSpace, config: SearchConfig) -> None:
        self.space = space
        self.ends = dict.fromkeys(space.costs, EVERYWHERE)
        self.cost = space.costs[known_cost(space, config.cost, "search.cost")]
        self.ends["madds"] = window(config.madds_min, config.madds_max)
        self.ends["params"] = window(config.params_min, config.params_max)
        if config.bitops_max is not None:
            if "bitops" not in space.costs:
                raise ValueError(
                    "search.bitops_max must be left out without space.family quant, whose blocks "
                    f"have bits, got {config.bitops_max:,.10g}: use search.madds_max"
                )
            self.ends["bitops"] = window(None, config.bitops_max)
        for name, low, high in map(parse_bound, config.bounds):
            known_cost(space, name, "search.bounds")
            self.ends[name] = meet(self.ends[name], (low, high))
        for name, cost in space.costs.items():
            if isinstance(cost, AdditiveCost):
                check_reachable(self.ends[name], cost)

    def narrowed(self, low: float, high: float) -> "Bounds":
        """Return bounds whose cost also lies in ``[low, high]``."""
        bounds = copy(self)
        name = self.cost.name
        bounds.ends = {**self.ends, name: meet(self.ends[name], (low, high))}
        return bounds

    def hold(self, genotypes: Genotypes) -> NDArray[np.bool_]:
        """Tell which genotypes ``[n, genes]`` are networks inside all windows."""
        inside = self.space.is_useful(genotypes)
        for name, ends in self.ends.items():
            if ends != EVERYWHERE and len(genotypes):
                costs = np.asarray(self.space.costs[name](genotypes))
                inside &= (costs >= ends[0]) & (costs <= ends[1])
        return inside

    def told(self) -> str:
        """Say what the windows are."""
        bound = {name: ends for name, ends in self.ends.items() if ends != EVERYWHERE}
        return ", ".join(f"{name} {low:,.1f} to {high:,.1f}" for name, (low, high) in bound.items())

    def p_drops(self, p_drop: float) -> list[float]:
        """List the p_drops to sample with: the sampler's, and those that aim into the window."""
        if any(self.ends[name] != EVERYWHERE for name in self.ends.keys() - {"madds", "params"}):
            return [p_drop, 0.0, 0.25, 0.5, 0.75, 1.0]
        most = self.space.expected_madds(0.0)
        low, high = (min(max(end, 0.0), most) for end in self.ends["madds"])
        middle = (low + high) / 2
        return [p_drop, *(self.space.nearest_p_drop(madds) for madds in (middle, low, high))]

    def aimed_p_drop(self, target: float) -> float:
        """Return the p_drop whose mean cost is nearest to a target."""
        if self.cost.name == "madds":
            return self.space.nearest_p_drop(target)
        means = {p / 10: mean_cost(self.space, self.cost, p / 10) for p in range(11)}
        return min(means, key=lambda p: abs(means[p] - target))


def mean_cost(space: SearchSpace, cost: Cost, p_drop: float) -> float:
    """Return the mean cost of sampled architectures, in closed form where it has one."""
    if isinstance(cost, AdditiveCost):
        return cost.expected(p_drop)
    return float(np.mean(cost(space.sample(DRAW, p_drop=p_drop, seed=0))))


def known_cost(space: SearchSpace, name: str, key: str) -> str:
    """Return the name of a cost of the space; ValueError for another."""
    if name not in space.costs:
        raise ValueError(
            f"{key} must name a cost of the space, one of {', '.join(space.costs)}, got {name!r}: "
            "correct the name, or give the space that cost (SpaceBuilder.build(costs=...))"
        )
    return name


def window(low: float | None, high: float | None) -> tuple[float, float]:
    """Return a window's ends, infinite where none is given."""
    return (-np.inf if low is None else low, np.inf if high is None else high)


def meet(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    """Return the ends of what two windows have in common."""
    return max(first[0], second[0]), min(first[1], second[1])


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
