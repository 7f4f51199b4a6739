"""The archive: scores of everything that was evaluated, on disk as soon as they are known."""

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from stnas.group.processes import current, led
from stnas.learn.score_together import score_together
from stnas.learn.scoring import Scorer
from stnas.search.objectives import Candidate
from stnas.space import Genotype, Genotypes, SearchSpace
from stnas.store.checksum import DamagedError
from stnas.store.files import (
    check_origin,
    encode_rows,
    read_json,
    read_rows,
    rows_before_damage,
    write_whole,
)
from stnas.store.journal import Journal
from stnas.store.names import ARCHIVE, FRONT, RANDOM
from stnas.store.results import FrontFile
from stnas.store.rows import CandidateRow, typed_row, typed_rows

NUMBERS = ("madds", "params", "accuracy", "loss", "generation", "balanced_accuracy")


def row(space: SearchSpace, candidate: Candidate) -> CandidateRow:
    """Turn a candidate into a row of the archive."""
    known: CandidateRow = {
        "genotype": space.format(candidate.genotype),
        "madds": candidate.madds,
        "params": candidate.params,
        "accuracy": candidate.accuracy,
        "balanced_accuracy": candidate.balanced_accuracy,
        "loss": candidate.loss,
        "generation": candidate.generation,
    }
    return cast(CandidateRow, {**known, **candidate.more})


def candidate(space: SearchSpace, known: Mapping[str, Any]) -> Candidate:
    """Make the candidate of a row of the archive; older rows lack the last number."""
    numbers: dict[str, Any] = {name: known.get(name) for name in NUMBERS}
    more = {name: known[name] for name in further_costs(space)}
    return Candidate(genotype=space.parse(known["genotype"]), more=more, **numbers)


def complete_archive(
    stage: Path, origin: str, costs: Collection[str]
) -> tuple[list[CandidateRow], list[CandidateRow]] | None:
    """Return the rows of a search that came to its end, and its random ones; None: it did not.

    costs: names of those of the space.
    """
    try:
        found = typed_row(FrontFile, read_json(stage / FRONT), stage / FRONT)
        check_origin(found, origin, stage / FRONT)
        rows, drawn = (
            typed_rows(CandidateRow, read_rows(file, origin=origin), file, costs=costs)
            for file in (stage / ARCHIVE, stage / RANDOM)
        )
    except (DamagedError, FileNotFoundError):
        return None
    counts = found.get("evaluated"), found.get("random")
    return (rows, drawn) if counts == (len(rows), len(drawn)) else None


class Evaluator:
    """Scores the unknown candidates of a generation together, and writes them down in order.

    Every process of a group keeps the same ledger; the leader's is the file.
    """

    def __init__(
        self, file: Path, space: SearchSpace, score: Scorer, journal: Journal, *, origin: str
    ) -> None:
        self.file, self.space, self.score, self.journal = file, space, score, journal
        self.origin = origin
        self.more = further_costs(space)
        known = partial(rows_before_damage, file, origin=origin, say=journal.say)
        rows = typed_rows(CandidateRow, current().first(known), file, costs=space.costs)
        self.known: dict[str, Mapping[str, Any]] = {str(row["genotype"]): row for row in rows}
        self.lines, self.mark = encode_rows(rows, before=origin)

    def evaluate(self, genotypes: list[Genotype], generation: int) -> list[Candidate]:
        """Return the scores of a generation's genotypes, from the archive where they are there."""
        texts = [self.space.format(genotype) for genotype in genotypes]
        pairs = zip(texts, genotypes, strict=True)
        unknown = [genotype for text, genotype in pairs if text not in self.known]
        if unknown:
            rows = [row(self.space, c) for c in self.scored(np.stack(unknown), generation)]
            self.known.update((str(row["genotype"]), row) for row in rows)
            lines, self.mark = encode_rows(rows, before=self.mark)
            self.lines += lines
            led(write_whole)(self.file, self.lines)
        return [candidate(self.space, self.known[text]) for text in texts]

    def keep(self, candidates: list[Candidate]) -> None:
        """Leave in the file what was evaluated, in order: no row of a search for other limits."""
        rows = [self.known[self.space.format(c.genotype)] for c in candidates]
        lines, mark = encode_rows(rows, before=self.origin)
        if lines != self.lines:
            self.lines, self.mark = lines, mark
            led(write_whole)(self.file, lines)

    def scored(self, genotypes: NDArray[np.int8], generation: int) -> list[Candidate]:
        """Score genotypes ``[n, genes]``."""
        results = score_together(
            self.score,
            genotypes,
            current(),
            progress=lambda share: self.journal.progress(generation + share),
        )
        more = {name: finite(self.space, name, genotypes) for name in self.more}
        madds, params = self.space.madds(genotypes).tolist(), self.space.params(genotypes).tolist()
        return [
            Candidate(
                genotype=genotype,
                madds=madds[i],
                params=params[i],
                accuracy=results[i].accuracy,
                loss=results[i].loss,
                generation=generation,
                balanced_accuracy=results[i].balanced_accuracy,
                more={name: values[i] for name, values in more.items()},
            )
            for i, genotype in enumerate(genotypes)
        ]


def further_costs(space: SearchSpace) -> list[str]:
    """List the costs of a space besides multiply-adds and parameters; ValueError for a bad name."""
    names = [name for name in space.costs if name not in ("madds", "params")]
    taken = [name for name in names if name in ("genotype", *NUMBERS)]
    if taken:
        raise ValueError(
            f"costs of the space must have names of their own, got {taken[0]!r}: rename it"
        )
    return names


def finite(space: SearchSpace, name: str, genotypes: Genotypes) -> list[float]:
    """Return a cost of genotypes ``[n, genes]`` as numbers; ValueError where it is none."""
    values = np.asarray(space.costs[name](genotypes))
    bad = ~np.isfinite(values)
    if bad.any():
        text = space.format(genotypes[int(np.argmax(bad))])
        raise ValueError(
            f"the cost {name} must be a finite number, got {values[bad][0]} of {text}: correct the "
            "function"
        )
    return values.tolist()  # type: ignore[no-any-return]
