"""Tell who brought the networks that a verdict chose: shared weights, chance or the model.

    python benchmarks/verdict_study.py --recipe quickstart FOLDER...

FOLDER: a run whose verdict has ended, such as those of ``search_value.py``, named by its seed. Who
takes part is a function of the run's archive and of what was trained, so its rounds are gone
through again and nothing is trained. The rows of the named recipe go to
``results/verdict_candidates.csv`` (a row for each candidate of each limit) and
``verdict_models.csv`` (how well models that know more or less predict short trainings that they
were not told of); ``verdict_study_tables.py`` makes the tables of docs/search-value.md.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from record import known, machine, save

import stnas
from stnas.learn.evaluation import SIGN
from stnas.space import SearchSpace
from stnas.store.files import read_json, read_rows
from stnas.store.names import ARCHIVE
from stnas.verdict.exploration import Field, explored
from stnas.verdict.model import predicted
from stnas.verdict.stage import enter

CANDIDATES, MODELS = "verdict_candidates", "verdict_models"
KNOWN = {
    "choices": (),
    "choices and sizes": (1, 2),
    "choices and shared loss": (0,),
    "choices, sizes and shared loss": (0, 1, 2),
}
"""What a model knows of a network: columns of ``Field.numbers`` beside the choices of its genes."""


def origins(field: Field, rounds: int) -> list[str]:
    """Say of every candidate, in the order in which they were taken, what proposed it."""
    ends = [-(-field.count * (number + 1) // rounds) for number in range(rounds)]
    best = (ends[0] + 1) // 2
    names = ["shared loss"] * best + ["drawn"] * (ends[0] - best)
    for number, fit in enumerate(field.fits[: rounds - 1]):
        name = f"model, round {number + 2}" if fit.used else "shared loss"
        names += [name] * (ends[number + 1] - ends[number])
    return names


def contests(run: Path) -> Iterator[tuple[dict[str, Any], Field, list[str], list[dict[str, Any]]]]:
    """Go through the rounds of a run again: (contest, field, origins, trainings) of each limit."""
    config = stnas.configure(run / "config.yaml")
    result, searched = (read_json(run / s / "result.json") for s in ("verdict", "search"))
    space = SearchSpace.from_json(read_json(run / "train" / "result.json")["space"])
    rows = read_rows(run / "search" / ARCHIVE, origin=None)
    entered = enter(config, space, rows, searched)
    short = {row["genotype"]: row for row in result["judged"] if row["rung"] == 0}
    fields = [field for _, _, field in entered]
    explored(fields, config.verdict.rounds, lambda texts: [short[text] for text in texts])
    for contest, field in zip(result["candidates"], fields, strict=True):
        told = {row["genotype"] for row in contest["ranking"]}
        assert told == set(field.texts(field.taken)), f"{run} was made by other rules"
        yield contest, field, origins(field, config.verdict.rounds), result["judged"]


def candidate_rows(
    contest: dict[str, Any], field: Field, names: list[str], judged: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield a row for each candidate, in the order in which they were taken."""
    losses = {(row["genotype"], row["rung"]): row["loss"] for row in judged}
    rungs = 1 + max(row["rung"] for row in judged)
    for place, name in zip(field.taken, names, strict=True):
        row = field.rows[place]
        yield {
            "origin": name,
            "genotype": row["genotype"],
            "madds": row["madds"],
            "shared_loss": f"{row['loss']:.5f}",
            **{f"loss_{k}": _short(losses.get((row["genotype"], k))) for k in range(rungs)},
            "won": int(row["genotype"] == contest["ranking"][0]["genotype"]),
        }


def model_rows(field: Field, judged: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield for each kind of model how well it predicts the left-out first trainings."""
    short = {row["genotype"]: row for row in judged if row["rung"] == 0}
    results = [short[text][field.judged_by] for text in field.texts(field.taken)]
    target, trained = SIGN[field.judged_by] * np.array(results), np.array(field.taken)
    for name, columns in KNOWN.items():
        numbers = field.numbers[:, list(columns)]
        left_out = predicted(field.genotypes, numbers, trained, target).left_out
        error = float(np.sqrt(np.mean((left_out - target) ** 2)))
        yield {"known": name, "n": len(target), "error": f"{error:.5f}",
               "spread": f"{target.std(ddof=1):.5f}"}  # fmt: skip


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.5f}"


def main() -> None:
    """Read the runs, and put their rows in the place of those of the same recipe."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--recipe", required=True, help="the name for the tables")
    parser.add_argument("runs", type=Path, nargs="+", metavar="FOLDER")
    own = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {
        name: [row for row in known(name) if row["recipe"] != own.recipe]
        for name in (CANDIDATES, MODELS)
    }
    for run in sorted(own.runs, key=lambda folder: int(folder.name)):
        for contest, field, names, judged in contests(run):
            about = {"recipe": own.recipe, "seed": run.name, "limit": f"{contest['limit']:.0f}"}
            found[CANDIDATES] += [about | r for r in candidate_rows(contest, field, names, judged)]
            found[MODELS] += [about | r for r in model_rows(field, judged)]
    for name, rows in found.items():
        save(name, rows, machine())


if __name__ == "__main__":
    main()
