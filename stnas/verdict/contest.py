"""The candidates of one limit: who takes part, who goes on, who wins."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from stnas.config.search import Measure
from stnas.learn.evaluation import SIGN

Row = dict[str, Any]


@dataclass(frozen=True)
class Contest:
    """The candidates of a limit, rows of the archive, the best that is known first.

    low: start of the window below the limit. sizes: how many train in each of the last
    ``len(sizes)`` rungs. expected: what decides in the first of them in place of what each
    reached alone, the less the better.
    """

    limit: float
    low: float
    field: tuple[Row, ...]
    sizes: tuple[int, ...]
    expected: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def trains(self, rung: int, rungs: int) -> tuple[Row, ...]:
        """Return those that train in a rung of ``rungs``; a small field enters a later one."""
        place = rung - (rungs - len(self.sizes))
        return self.field[: self.sizes[place]] if place >= 0 else ()

    def ranked(
        self, trained: tuple[Row, ...], judged: Mapping[str, Row], measure: Measure
    ) -> "Contest":
        """Put those that trained in the order of what they reached, the smaller first on a tie."""

        def key(row: Row) -> tuple[float, int, str]:
            text = row["genotype"]
            value = self.expected.get(text, SIGN[measure] * judged[text][measure])
            return value, row["madds"], text

        behind = self.field[len(trained) :]
        return replace(self, field=(*sorted(trained, key=key), *behind), expected={})


def proposed(
    rows: list[Row], *, low: float, limit: float, count: int, measure: Measure, cost: str = "madds"
) -> tuple[Row, ...]:
    """Return the best candidates in ``[low, limit]`` and, where they are too few, below it.

    cost: the name of what lies there.
    """

    def key(row: Row) -> tuple[bool, float, float]:
        return row[cost] < low, SIGN[measure] * row[measure], row[cost]

    return tuple(sorted((row for row in rows if row[cost] <= limit), key=key)[:count])


def decided(
    contests: list[Contest], judged: Mapping[str, Row], reasons: Mapping[float, str]
) -> dict[str, list[Row]]:
    """Return the winners as choices A, B, ... by rising limit, and why a limit has none.

    judged: the last that is known of every candidate. reasons: why a limit has no candidates.
    """
    chosen: list[Row] = []
    unmet: list[Row] = []
    for contest in contests:
        if not contest.field:
            unmet.append({"limit": contest.limit, "reason": reasons[contest.limit]})
            continue
        winner = contest.field[0]
        same = [c["name"] for c in chosen if c["genotype"] == winner["genotype"]]
        if same:
            reason = (
                f"no candidate is better than {same[0]} of {winner['madds']:,} MAdds: take that, "
                "or raise search.generations and search.aimed in another --run"
            )
            unmet.append({"limit": contest.limit, "reason": reason})
            continue
        found = judged.get(winner["genotype"], {})
        reached = {f"verdict_{name}": found.get(name) for name in ("accuracy", "loss", "epochs")}
        name = chr(ord("A") + len(chosen))
        chosen.append({"name": name, "limit": contest.limit, **winner, **reached})
    return {"choices": chosen, "unmet": unmet}
