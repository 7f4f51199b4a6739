"""What the networks of a run show: does a choice lead random and hand-made ones of its size?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from statistics import fmean, stdev
from typing import Any

Row = Mapping[str, Any]
T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
)  # fmt: skip
"""The 0.975 quantiles of Student's t with 1, 2, ... degrees of freedom."""


@dataclass(frozen=True)
class Lead:
    """A choice beside the networks of its size; accuracies and leads are shares.

    accuracy: the mean over its trainings. twins: test accuracies of the random ones. baselines:
    means of hand-made ones, by their names. trainings: accuracies of each training of the choice.
    half: half of the 95 % interval of the lead; infinite where nothing tells the spread.
    """

    name: str
    accuracy: float
    twins: tuple[float, ...]
    baselines: Mapping[str, float]
    half: float
    trainings: tuple[float, ...] = ()

    @property
    def spread(self) -> float | None:
        """Return the standard deviation over the trainings of the choice; None of one."""
        return stdev(self.trainings) if len(self.trainings) > 1 else None

    @property
    def lead(self) -> float | None:
        """Return the accuracy less the mean of the random twins'; None without twins."""
        return self.accuracy - fmean(self.twins) if self.twins else None

    @property
    def hand_made(self) -> str | None:
        """Return the name of the best hand-made network; None without one."""
        return max(self.baselines, key=lambda name: self.baselines[name], default=None)

    @property
    def lead_over_hand_made(self) -> float | None:
        """Return the accuracy less that of the best hand-made network."""
        best = self.hand_made
        return None if best is None else self.accuracy - self.baselines[best]


def leads(networks: Sequence[Row]) -> list[Lead]:
    """Hold every chosen network of a run against those of its size.

    With one training each, what is known of chance is the spread of the random twins: s, their
    standard deviation, pooled over the choices, with v degrees of freedom. One more random network
    lies within ``t(v) s sqrt(1 + 1 / r)`` of the mean of r twins 95 times in a hundred (the
    prediction interval), so a lead whose interval excludes 0 is more than chance gives a network.
    """
    chosen = [row for row in networks if row["role"] == "chosen"]
    found = [_twins(row, networks) for row in chosen]
    spread, freedom = pooled(found)
    return [
        Lead(
            name=str(row["name"]),
            accuracy=fmean(trainings(row, networks)),
            twins=twins,
            baselines=_baselines(row, networks),
            half=t_975(freedom) * spread * sqrt(1 + 1 / len(twins)) if freedom and twins else inf,
            trainings=trainings(row, networks),
        )
        for row, twins in zip(chosen, found, strict=True)
    ]


def mean_lead(found: Sequence[Lead]) -> tuple[float, float] | None:
    """Return the mean lead over the twins and half of its 95 % interval; None without twins.

    The K leads are independent, so the half is ``sqrt(sum half_k^2) / K``.
    """
    known = [(lead.lead, lead.half) for lead in found if lead.lead is not None]
    if not known:
        return None
    half = sqrt(sum(half**2 for _, half in known)) / len(known)
    return fmean(lead for lead, _ in known), half


def pooled(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Return the standard deviation inside groups, pooled, and its degrees of freedom."""
    freedom = sum(len(group) - 1 for group in groups if group)
    if freedom == 0:
        return 0.0, 0
    squares = sum((x - fmean(group)) ** 2 for group in groups if group for x in group)
    return sqrt(squares / freedom), freedom


def t_975(freedom: int) -> float:
    """Return the 0.975 quantile of Student's t, beyond the table by Cornish and Fisher's series."""
    if freedom <= len(T_975):
        return T_975[freedom - 1]
    z = 1.959964
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def trainings(row: Row, networks: Sequence[Row]) -> tuple[float, ...]:
    """Return the test accuracies of a network's trainings, the first one first."""
    prefix = f"{row['name']}-seed-"
    again = (
        own for own in networks if own["role"] == "again" and str(own["name"]).startswith(prefix)
    )
    return tuple(float(own["test_accuracy"]) for own in (row, *again))


def _twins(row: Row, networks: Sequence[Row]) -> tuple[float, ...]:
    prefix = f"{row['name']}-random-"
    return tuple(
        float(other["test_accuracy"])
        for other in networks
        if other["role"] == "random" and str(other["name"]).startswith(prefix)
    )


def _baselines(row: Row, networks: Sequence[Row]) -> dict[str, float]:
    prefix = f"{row['name']}-"
    return {
        str(other["name"]).removeprefix(prefix): fmean(trainings(other, networks))
        for other in networks
        if other["role"] == "baseline" and str(other["name"]).startswith(prefix)
    }


def differs_when_balanced(networks: Sequence[Row]) -> bool:
    """Tell whether some network's balanced test accuracy is not its accuracy, beyond rounding."""
    return any(
        abs(row.get("test_balanced_accuracy", row["test_accuracy"]) - row["test_accuracy"]) > 1e-9
        for row in networks
    )
