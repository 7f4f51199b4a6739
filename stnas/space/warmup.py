"""Let the forms of shared parts enter training one after the other, the largest first."""

import numpy as np
from numpy.typing import NDArray

from stnas.space.draws import check_integer, generator
from stnas.space.sampling import Sampler
from stnas.space.value import SearchSpace

WARMUP = 5
"""First counter word of these draws, which keeps them apart from the samplers'."""


class WarmUp:
    """Replace forms that have not entered yet by a uniform one among the last that have.

    Until ``first`` steps are done only the last form of each part is there; then one more enters,
    and another every ``every`` steps. Where the sampler draws forms uniformly, so does this among
    those that are there.
    """

    def __init__(
        self, sampler: Sampler, space: SearchSpace, *, first: int, every: float, seed: int
    ) -> None:
        self.sampler, self.first, self.every, self.seed = sampler, first, every, seed
        self.tables = [_forms(space, gene) for gene in range(space.num_genes)]
        self.forms: int = max(table.shape[1] for table in self.tables)

    def entered(self, step: int) -> int:
        """Return how many forms are there at a step."""
        if step < self.first:
            return 1
        return min(self.forms, 2 + int((step - self.first) / self.every))

    def genotype(self, step: int) -> NDArray[np.int8]:
        """Return the genotype ``[genes]`` of a step, a function of (seed, step) alone."""
        check_integer("step", step, least=0, below=2**63)
        drawn, there = self.sampler.genotype(step), self.entered(step)
        if there == self.forms:
            return drawn
        places = generator(self.seed, WARMUP, step).integers(there, size=len(drawn))
        found = drawn.copy()
        for gene, table in enumerate(self.tables):
            part, form = (int(own[0]) for own in np.nonzero(table == drawn[gene]))
            if form < table.shape[1] - there:
                found[gene] = table[part, table.shape[1] - 1 - places[gene]]
        return found


def _forms(space: SearchSpace, gene: int) -> NDArray[np.int64]:
    """Return the choices of a gene as a table ``[parts, forms]``."""
    parts: dict[str | None, list[int]] = {}
    for arc in space.arcs:
        if arc.when and arc.when[0][0] == gene:
            parts.setdefault(arc.part, []).append(arc.when[0][1])
    return np.array(list(parts.values()))
