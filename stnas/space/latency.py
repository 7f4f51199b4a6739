"""Latency as a cost of a space: a table of what was measured, fitted to whole networks."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from stnas.space.cost import AdditiveCost, summed
from stnas.space.graph import Arc
from stnas.space.value import SearchSpace


def measured_as(arc: Arc) -> str:
    """Name what an arc's time is looked up by: its part and the form of it."""
    return f"{arc.part}/{arc.option}"


@dataclass(frozen=True)
class LatencyTable:
    """Nanoseconds of a batch: ``fixed + sum over the arcs (scale part + each)``.

    parts: measured alone, by ``measured_as``. each: what a part takes in a network besides.
    identity: what an arc without a part takes: it is added up. fixed may be below 0, where parts
    take longer alone than in a network. fingerprint: of the space.
    """

    fingerprint: str
    parts: Mapping[str, float]
    fixed: float
    scale: float
    each: float
    identity: float

    def of_arc(self, arc: Arc) -> int:
        """Return what an arc takes, 0 or more."""
        if arc.part is None:
            return max(0, round(self.identity))
        return max(0, round(self.scale * self.parts[measured_as(arc)] + self.each))

    def cost(self, space: SearchSpace) -> AdditiveCost:
        """Return the cost ``latency`` of a space; ValueError for that of another one."""
        if space.fingerprint != self.fingerprint:
            raise ValueError(
                f"search.latency must be measured in the run's own space ({space.fingerprint}), "
                f"got one of {self.fingerprint}: run stnas latency on this run"
            )
        return summed(
            "latency",
            "ns",
            genes=space.genes,
            arcs=space.arcs,
            fixed=round(self.fixed),
            cost_of=self.of_arc,
            prior=space.prior,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return {**asdict(self), "parts": dict(self.parts)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "LatencyTable":
        """Make a table of the file's ``table``."""
        return cls(**found["table"])
