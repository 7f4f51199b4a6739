"""Which networks are trained: the choices, random ones of their size, and hand-made ones."""

from typing import Any

import numpy as np

from stnas.config import Config
from stnas.config.retrain import Baseline
from stnas.group.streams import derive
from stnas.space import Genotype, SearchSpace
from stnas.space.families import widened
from stnas.space.hand_made import CLOSE, scaled
from stnas.space.quant import uniform
from stnas.store.names import width_name

SAMPLES = 4096
"""Random architectures that twins are looked for in, at a time."""
DRAWS = 16


def plan(config: Config, space: SearchSpace, choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """List the networks to train: each choice, its random twins, the hand-made ones of its size.

    ``retrain.widths`` adds the choice with other channels. That and a hand-made one bring the
    recipe of their own space. With ``retrain.seeds`` all but
    random ones are trained again under other names, from which weights and batches follow.
    """
    entries = []
    for choice in choices:
        name, genotype = choice["name"], space.parse(choice["genotype"])
        entries.append({"name": name, **described(space, genotype), "role": "chosen"})
        seed = derive(config.seed, "twins", name)
        count, cost = config.retrain.random_twins, config.search.cost
        twins = random_twins(space, choice["genotype"], count, seed=seed, cost=cost)
        entries += [
            {"name": f"{name}-random-{number}", **described(space, twin), "role": "random"}
            for number, twin in enumerate(twins, start=1)
        ]
        for kind in config.retrain.baselines:
            own = hand_made(kind, space, choice, config.search.cost)
            only = np.zeros(own.num_genes, np.int8)
            known = {**described(own, only), "role": "baseline", "space": dict(own.recipe)}
            entries.append({"name": f"{name}-{kind}", **known})
        for width in config.retrain.widths:
            own = widened(space, width)
            known = {**described(own, genotype), "role": "scaled", "space": dict(own.recipe)}
            entries.append({"name": width_name(name, width), **known})
    for entry in [own for own in entries if own["role"] != "random"]:
        for number in range(2, config.retrain.seeds + 1):
            again = {"name": f"{entry['name']}-seed-{number}", "role": "again"}
            entries.append({**entry, **again})
    return entries


def asked(config: Config, space: SearchSpace) -> list[dict[str, Any]]:
    """List the networks that ``retrain.genotypes`` asks for, in the place of choices."""
    found = []
    for number, text in enumerate(config.retrain.genotypes, start=1):
        try:
            genotype = space.parse(text)
        except ValueError as error:
            raise ValueError(f"retrain.genotypes: {error}") from None
        found.append({"name": f"G{number}", **described(space, genotype)})
    return found


def hand_made(kind: Baseline, space: SearchSpace, choice: dict[str, Any], cost: str) -> SearchSpace:
    """Build the space of a hand-made network's only genotype, of the size of a choice.

    cost: what was searched by; where it is bitops, bits go up to the limit of the choice.
    """
    if kind != "uniform_bits":
        return scaled(kind, space, choice["madds"])
    limit = choice.get("limit") if cost == "bitops" else None
    return uniform(space, int(choice["bitops"] if limit is None else limit))


def described(space: SearchSpace, genotype: Genotype) -> dict[str, Any]:
    """Return the text of a network and what it costs."""
    costs = {name: np.asarray(cost(genotype[None]))[0].item() for name, cost in space.costs.items()}
    return {"genotype": space.format(genotype), **costs}


def random_twins(
    space: SearchSpace, genotype: str, count: int, *, seed: int, cost: str = "madds"
) -> list[Genotype]:
    """Draw random architectures until ``count`` have a genotype's cost within 2 %.

    The nearest are taken, and those that are not so near where DRAWS of SAMPLES hold no others.
    They are drawn with the p_drop whose mean is nearest to the genotype's MAdds. None is the
    genotype's own network or another's, however it is written.
    """
    own = space.parse(genotype)
    costs = space.costs[cost]
    target = costs(own[None])[0]
    p_drop, twins = space.nearest_p_drop(int(space.madds(own[None])[0])), list[Genotype]()
    drawn = np.empty((0, space.num_genes), np.int8)
    for draw in range(DRAWS if count else 0):
        more = space.sample(SAMPLES, p_drop=p_drop, seed=seed if draw == 0 else derive(seed, draw))
        drawn = np.unique(np.concatenate((drawn, more[space.is_useful(more)])), axis=0)
        order = np.argsort(np.abs(costs(drawn) - target), kind="stable")
        twins = distinct(space, own, drawn[order], count)
        distances = np.abs(costs(np.stack(twins)) - target) if twins else np.zeros(0)
        if len(twins) == count and (distances <= CLOSE * target).all():
            break
    return twins


def distinct(space: SearchSpace, own: Genotype, drawn: Any, count: int) -> list[Genotype]:
    """Take the first ``count`` genotypes whose networks differ from ``own`` and each other."""
    known, found = {str(space.canonical(own[None])[0])}, list[Genotype]()
    for genotype in drawn:
        if len(found) == count:
            break
        key = str(space.canonical(genotype[None])[0])
        found += [] if key in known else [genotype]
        known.add(key)
    return found


def shortfalls(config: Config, entries: list[dict[str, Any]]) -> list[str]:
    """Say which networks that are to have a choice's size have not, or are not there."""
    entries = [entry for entry in entries if entry["role"] != "again"]
    lines, chosen, twins = [], entries[0], 0
    for number, entry in enumerate(entries):
        if entry["role"] == "chosen":
            chosen, twins = entry, 0
        twins += entry["role"] == "random"
        alike = "madds" if entry["role"] == "baseline" else config.search.cost
        own = chosen[alike] if entry["role"] == "scaled" else entry[alike]
        off = own / chosen[alike] - 1 if chosen[alike] else 0.0
        if abs(off) > CLOSE:
            lines.append(
                f"retrain: {entry['name']} has {100 * off:+.1f} % more {alike} than "
                f"{chosen['name']}: no network that is nearer was found"
            )
        last = number + 1 == len(entries) or entries[number + 1]["role"] == "chosen"
        if last and twins < config.retrain.random_twins:
            lines.append(
                f"retrain: {chosen['name']} has {twins} of {config.retrain.random_twins} random "
                "twins: the space holds no more networks"
            )
    return lines
