"""Successive halving (Jamieson and Talwalkar 2016): how many train, for how long, at what rate."""

from collections.abc import Sequence
from math import ceil

from stnas.config import Config
from stnas.learn.single_path import cosine


def field_sizes(candidates: int, reduction: int) -> list[int]:
    """Return how many train in each rung: one of ``reduction`` goes on, until two or one are left.

    One alone needs no rung. ``field_sizes(12, 3) == [12, 4, 2]``.
    """
    sizes = [candidates] if candidates > 1 else []
    while sizes and sizes[-1] > reduction:
        sizes.append(ceil(sizes[-1] / reduction))
    return sizes


def rung_ends(config: Config) -> list[int]:
    """Return the epochs after which the rungs of a whole field end, rising.

    The last is ``verdict.epochs`` or, by default, the most up to ``retrain.epochs`` with which a
    field takes ``s / (1 - s)`` of the passes of the hyper-network and one retraining, where s is
    ``verdict.share``; at least 1.
    """
    options = config.verdict
    sizes = field_sizes(options.candidates, options.reduction)
    if options.epochs is not None:
        return spread_ends(options.epochs, len(sizes), options.reduction)
    rest = config.train.epochs + config.retrain.epochs
    allowed = options.share / (1 - options.share) * rest
    for last in range(config.retrain.epochs, 1, -1):
        ends = spread_ends(last, len(sizes), options.reduction)
        if passes(sizes, ends) <= allowed:
            return ends
    return spread_ends(1, len(sizes), options.reduction)


def spread_ends(last: int, rungs: int, reduction: int) -> list[int]:
    """Return ends of which each is ``reduction`` times the one before, rounded, up to ``last``.

    There are no more of them than epochs.
    """
    rungs = min(rungs, last)
    exact = [last / reduction**k for k in reversed(range(rungs))]
    return [max(round(end), place) for place, end in enumerate(exact, start=1)]


def passes(sizes: Sequence[int], ends: Sequence[int]) -> int:
    """Return the epochs that a field takes: ``sum_r n_r (e_r - e_(r-1))``."""
    steps = zip(sizes, ends, [0, *ends], strict=False)
    return sum(size * (end - before) for size, end, before in steps)


def restarted_rate(config: Config, step: int, *, steps: int, ends: Sequence[int]) -> float:
    """Return the rate of a step: a cosine to 0 up to each of ``ends``, begun anew behind it.

    steps: steps of an epoch. ends: rising numbers of epochs. So a training that stops at any of
    them is a whole one (warm restarts, Loshchilov and Hutter 2017, eq. 5). The first begins with
    ``retrain.warmup_epochs`` of rising rates, but at most half of it.
    """
    rate, epoch = config.retrain.learning_rate, step // steps
    warmup = round(min(config.retrain.warmup_epochs, ends[0] / 2) * steps)
    if step < warmup:
        return rate * (step + 1) / warmup
    last = next((end for end in ends if epoch < end), ends[-1])
    begin = max([warmup, *(end * steps for end in ends if end < last)])
    return cosine(step - begin, steps=last * steps - begin, start=rate, end=0.0)
