"""What a search is for: the best architecture under each limit, or why there is none."""

from typing import cast

import numpy as np

from stnas.config import Config
from stnas.learn.task import Task
from stnas.search.candidates import Bounds
from stnas.search.evaluator import row
from stnas.search.objectives import Candidate, Objectives
from stnas.space import AdditiveCost, SearchSpace
from stnas.store.rows import ChoiceRow, UnmetRow

SAMPLES = 4096
"""Architectures whose cost stands for that of the sampler's where no formula gives it."""


def choice_limits(config: Config, task: Task) -> list[float]:
    """Return the limits, ascending: the configured ones, or the mean cost less and plus one s.d.

    A share s of the range is ``least + s (most - least)``; a cost that is no sum over the genes is
    drawn for its figures.
    """
    if config.search.limits is not None:
        return sorted(config.search.limits)
    cost = task.space.costs[config.search.cost]
    if isinstance(cost, AdditiveCost):
        least, most = float(cost.least), float(cost.most)
        mean, spread = cost.expected(task.p_drop), cost.variance(task.p_drop) ** 0.5
    else:
        drawn = np.asarray(cost(task.space.sample(SAMPLES, p_drop=task.p_drop, seed=0)))
        least, most = float(drawn.min()), float(drawn.max())
        mean, spread = float(drawn.mean()), float(drawn.std())
    wanted = [mean - spread, mean + spread] if spread else [mean]
    if (shares := config.search.limit_shares) is not None:
        wanted = [least + share * (most - least) for share in sorted(shares)]
    return [round(value) for value in wanted] if isinstance(cost, AdditiveCost) else wanted


def check_limits(config: Config, space: SearchSpace) -> None:
    """Raise ValueError for a limit that no architecture inside the bounds can meet."""
    bounds = Bounds(space, config.search)
    least, reach = bounds.ends[bounds.cost.name][0], ""
    if isinstance(bounds.cost, AdditiveCost):
        if bounds.cost.least == bounds.cost.most and "bitops" in space.costs:
            raise ValueError(
                "search.cost must be bitops with space.family quant, whose networks all have "
                f"{bounds.cost.most:,} {bounds.cost.unit}, got {config.search.cost!r}: set "
                "--search.cost bitops"
            )
        least = max(least, bounds.cost.least)
        reach = f" of at most {bounds.cost.most:,.10g}"
    for limit in config.search.limits or ():
        if limit < least:
            raise ValueError(
                f"search.limits must admit an architecture each, got {limit:,.10g} where the "
                f"smallest that there can be has {least:,.10g}{reach} {bounds.cost.unit}: raise it "
                "or leave it out"
            )


def choices(
    space: SearchSpace, archive: list[Candidate], limits: list[float], objectives: Objectives
) -> list[ChoiceRow]:
    """Choose the best architecture under each limit, the smaller one on a tie.

    Names are A, B, ... by rising limit; a limit that no candidate meets has no choice, and two
    limits with the same best network give it once, under the lower one.
    """
    chosen: list[ChoiceRow] = []
    for limit in limits:
        inside = [c for c in archive if objectives.cost_of(c) <= limit]
        for best in objectives.best(inside, 1):
            found = row(space, best)
            if found["genotype"] not in [choice["genotype"] for choice in chosen]:
                place = {"name": chr(ord("A") + len(chosen)), "limit": limit}
                chosen.append(cast(ChoiceRow, {**place, **found}))
    if not chosen:
        smallest = min(objectives.cost_of(candidate) for candidate in archive)
        raise ValueError(
            f"search.limits must admit an architecture of the archive, got {limits} where the "
            f"smallest found has {smallest:,.10g} {objectives.unit}: raise a limit or the bounds "
            "(search.madds_max)"
        )
    return chosen


def unmet(
    archive: list[Candidate],
    limits: list[float],
    chosen: list[ChoiceRow],
    objectives: Objectives,
) -> list[UnmetRow]:
    """Say of every limit without a network of its own why that is so, and what to do."""
    smallest = min(objectives.cost_of(candidate) for candidate in archive)
    lines: list[UnmetRow] = []
    for limit in limits:
        if limit in [choice["limit"] for choice in chosen]:
            continue
        reason = (
            f"the smallest of {len(archive):,} candidates has {smallest:,.10g} {objectives.unit}: "
            "raise the limit, or make the space smaller (space.widths, space.stages) in another "
            "--run"
        )
        if smallest <= limit:
            best = max((c for c in chosen if c["limit"] < limit), key=lambda c: float(c["limit"]))
            reason = (
                f"no candidate is better than {best['name']} of {best['madds']:,} MAdds: "
                "take that, or raise search.generations and search.aimed in another --run"
            )
        lines.append({"limit": limit, "reason": reason})
    return lines
