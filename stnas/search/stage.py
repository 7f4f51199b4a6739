"""Search, keep an archive of all that was evaluated, and choose."""

import time
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnas.config import Config
from stnas.group.processes import current
from stnas.group.streams import derive
from stnas.learn.score_together import score_together
from stnas.learn.scoring import Scorer, scorer
from stnas.learn.task import Task, prepare
from stnas.ops import hypervolume
from stnas.search.candidates import Bounds
from stnas.search.nsga2 import Candidate, evolve, front, objectives
from stnas.space import Genotype, SearchSpace
from stnas.store.files import encode_rows, scan_rows, write_json, write_whole
from stnas.store.journal import Journal
from stnas.store.run_folder import RunFolder

NUMBERS = ("madds", "params", "accuracy", "loss", "generation")


def run(config: Config) -> None:
    """Search to ``archive.jsonl``, ``front.json`` and the choices in ``result.json``.

    An interrupted search replays the scores in its archive and goes on: the result is the same.
    """
    with RunFolder(config) as folder:
        folder.check("search")
        begin = time.perf_counter()
        task = prepare(config, folder)
        stage = folder.begin("search")
        bounds = Bounds(task.space, config.search)
        limits = choice_limits(config, task)
        score = scorer(config, task, folder.path, split=task.dataset.validation)
        with Journal(
            folder, "search", total=config.search.generations, unit="generation"
        ) as journal:
            archive_file, origin = stage / "archive.jsonl", folder.origin("search")
            ledger = Evaluator(archive_file, task.space, score, journal, origin=origin)
            archive = evolve(
                bounds,
                config.search,
                p_drop=task.p_drop,
                seed=derive(config.seed, "search"),
                evaluate=ledger.evaluate,
                report=ledger.report,
            )
        best = [row(task.space, candidate) for candidate in front(archive)]
        write_json(stage / "front.json", {"front": best, "origin": folder.origin("search")})
        result = {
            "seconds": ledger.seconds + time.perf_counter() - begin,
            "evaluated": len(archive),
            "choices": choices(task.space, archive, limits),
        }
        folder.finish("search", result)


def row(space: SearchSpace, candidate: Candidate) -> dict[str, Any]:
    """Turn a candidate into a row of the archive."""
    return {
        "genotype": space.format(candidate.genotype),
        "madds": candidate.madds,
        "params": candidate.params,
        "accuracy": candidate.accuracy,
        "loss": candidate.loss,
        "generation": candidate.generation,
    }


class Evaluator:
    """Scores the unknown candidates of a generation together, and writes them down in order.

    Every process of a group keeps the same ledger; the leader's is the file.
    """

    def __init__(
        self, file: Path, space: SearchSpace, score: Scorer, journal: Journal, *, origin: str
    ) -> None:
        self.file, self.space, self.score, self.journal = file, space, score, journal
        self.origin = origin
        rows = current().first(self.whole_rows)
        self.known = {str(row["genotype"]): row for row in rows}
        self.lines, self.mark = encode_rows(rows, before=origin)
        self.seconds = 0.0

    def whole_rows(self) -> list[dict[str, Any]]:
        """Return the rows before the first damaged one; those behind it are scored again."""
        lines = scan_rows(self.file, origin=self.origin)
        rows = [row for row in takewhile(lambda line: line is not None, lines) if row is not None]
        if len(rows) < len(lines):
            self.journal.say(
                f"{self.file}, line {len(rows) + 1} is damaged: going on from the "
                f"{len(rows)} candidates before it"
            )
        return rows

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
            write_whole(self.file, self.lines)
        return [
            Candidate(genotype, *(self.known[text][name] for name in NUMBERS))
            for text, genotype in zip(texts, genotypes, strict=True)
        ]

    def scored(self, genotypes: NDArray[np.int8], generation: int) -> list[Candidate]:
        """Score genotypes ``[n, genes]``."""
        results = score_together(
            self.score,
            genotypes,
            current(),
            progress=lambda share: self.journal.progress(generation + share),
        )
        madds, params = self.space.madds(genotypes).tolist(), self.space.params(genotypes).tolist()
        return [
            Candidate(
                genotype=genotype,
                madds=madds[i],
                params=params[i],
                accuracy=results[i].accuracy,
                loss=results[i].loss,
                generation=generation,
            )
            for i, genotype in enumerate(genotypes)
        ]

    def report(self, generation: int, archive: list[Candidate]) -> None:
        """Record the state after a generation."""
        self.journal.record(
            generation,
            evaluated=len(archive),
            best_accuracy=max(candidate.accuracy for candidate in archive),
            front=len(front(archive)),
            hypervolume=hypervolume_share(self.space, archive),
        )


def hypervolume_share(space: SearchSpace, archive: list[Candidate]) -> float:
    """Return the dominated share of ``[0, most MAdds] x [0, accuracy 1]``, in [0, 1]."""
    most = space.fixed_madds + int(space.madds_table.max(axis=1).sum())
    points = objectives(archive)
    return hypervolume(points, np.array([float(most), 0.0])) / most


def choice_limits(config: Config, task: Task) -> list[float]:
    """Return the MAdds limits, ascending: the configured ones, or mean less and plus one s.d."""
    if config.search.limits is not None:
        return sorted(config.search.limits)
    mean = task.space.expected_madds(task.p_drop)
    spread = task.space.variance_madds(task.p_drop) ** 0.5
    return [round(mean - spread), round(mean + spread)]


def choices(
    space: SearchSpace, archive: list[Candidate], limits: list[float]
) -> list[dict[str, Any]]:
    """Choose the most accurate architecture under each limit, the smaller one on a tie.

    Names are A, B, ... by rising limit; a limit that no candidate meets has no choice, and two
    limits with the same best network give it once, under the lower one.
    """
    chosen: list[dict[str, Any]] = []
    for limit in limits:
        inside = [c for c in archive if c.madds <= limit]
        if inside:
            best = row(space, max(inside, key=lambda c: (c.accuracy, -c.madds)))
            if best["genotype"] not in [choice["genotype"] for choice in chosen]:
                chosen.append({"name": chr(ord("A") + len(chosen)), "limit": limit, **best})
    if not chosen:
        smallest = min(candidate.madds for candidate in archive)
        raise ValueError(
            f"search.limits must admit an architecture of the archive, got {limits} where the "
            f"smallest found has {smallest:,} MAdds: raise a limit or search.madds_max"
        )
    return chosen
