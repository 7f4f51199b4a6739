"""The loop over generations, whatever makes them."""

from collections.abc import Callable
from typing import Protocol

from stnas.search.objectives import Candidate
from stnas.space import Genotype

Evaluate = Callable[[list[Genotype], int], list[Candidate]]
"""Evaluates the genotypes of a generation together, in order."""
Report = Callable[[int, list[Candidate]], None]
"""Called with each generation and the archive after it."""


class Explorer(Protocol):
    """A search: what it has evaluated, and how it makes the next generation."""

    archive: list[Candidate]

    def proposed(self, generation: int, seed: int) -> list[Genotype]:
        """Propose networks that were not proposed before.

        A function of (seed, generation, what was evaluated before).
        """
        ...

    def add_(self, children: list[Candidate]) -> None:
        """Take over what a generation was evaluated to."""
        ...


def explore(
    explorer: Explorer, generations: int, *, seed: int, evaluate: Evaluate, report: Report
) -> list[Candidate]:
    """Search and return every architecture that was evaluated, in order.

    Each generation is a function of (seed, generation) and of the scores before it, so that
    known scores replay an interrupted search. No network is evaluated twice.
    """
    for generation in range(generations):
        explorer.add_(evaluate(explorer.proposed(generation, seed), generation))
        report(generation, explorer.archive)
    return explorer.archive
