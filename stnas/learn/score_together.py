"""Score a generation in several processes: an idle one takes the next few alike architectures."""

import numpy as np
from numpy.typing import NDArray

from stnas.group.processes import ProcessGroup
from stnas.learn.evaluation import Evaluation
from stnas.learn.scoring import Progress, Scorer
from stnas.space import Genotypes

UNITS = 3
"""Units for each process: more of them end more evenly, but have less in common to compute once."""


def work_units(genotypes: Genotypes, count: int) -> list[NDArray[np.int64]]:
    """Cut architectures ``[n, genes]`` into about ``count`` units, rows that begin alike together.

    Every unit is a sub-trie: neighbours in the order of a depth-first walk.
    """
    order = np.lexsort(genotypes.T[::-1])
    return np.array_split(order, min(count, len(order)))


def score_together(
    score: Scorer, genotypes: Genotypes, group: ProcessGroup, *, progress: Progress
) -> list[Evaluation]:
    """Return what ``score`` gives for architectures ``[n, genes]``, in order, in every process.

    A score depends on its architecture alone, so neither the cut nor who takes what changes it.
    progress: told about this process's view of the units.
    """
    if group.size == 1:
        return score(genotypes, progress=progress)
    units = work_units(genotypes, UNITS * group.size)
    found: dict[int, Evaluation] = {}
    for number in group.take(len(units)):
        scores = score(genotypes[units[number]])
        found.update(zip(units[number].tolist(), scores, strict=True))
        progress((number + 1) / len(units))
    merged = {row: result for part in group.gather(found) for row, result in part.items()}
    return [merged[row] for row in range(len(genotypes))]
