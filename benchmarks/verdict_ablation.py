"""Let verdicts decide between networks drawn at random: what shared weights bring to a run.

    python benchmarks/verdict_ablation.py --work FOLDER RUN...

RUN: a run of ``search_value.py``, named by its seed. Its candidates near each limit are replaced by
as many drawn ones, whose shared loss nobody knows; verdict and retraining are the run's own, with
its seed. Each adds its networks to ``results/verdict_ablation.csv``; what was stopped goes on. The
table of docs/search-value.md is made by ``verdict_study_tables.py``.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from record import known, machine, save
from scratch_training import DRAWN

import stnas
from stnas.config import Config
from stnas.group.streams import derive
from stnas.learn.task import prepare
from stnas.space import SearchSpace
from stnas.store.files import read_json, write_rows
from stnas.store.names import ARCHIVE, FRONT, RANDOM
from stnas.store.run_folder import RunFolder

NAME = "verdict_ablation"


def drawn(space: SearchSpace, window: dict[str, Any], *, seed: int) -> list[dict[str, Any]]:
    """Draw as many networks as a search evaluated in a window; all have one score."""
    low, limit, count = window["low"], window["limit"], window["evaluated"]
    p_drop, found = space.nearest_p_drop((low + limit) / 2), dict[str, Any]()
    for i in range(1000):
        genotypes = space.sample(DRAWN, p_drop=p_drop, seed=derive(seed, "ablation", f"{limit}", i))
        madds = space.madds(genotypes)
        genotypes = genotypes[(low <= madds) & (madds <= limit)]
        found |= zip(space.canonical(genotypes).tolist(), genotypes, strict=True)
        if len(found) >= count:
            break
    chosen = np.stack(list(found.values())[:count])
    costs = zip(chosen, space.madds(chosen), space.params(chosen), strict=True)
    return [
        {
            "genotype": space.format(genotype),
            "madds": int(madds),
            "params": int(params),
            "accuracy": 0.0,
            "loss": 1.0,
            "generation": 0,
        }
        for genotype, madds, params in costs
    ]


def begin(run: Path, config: Config) -> None:
    """Make a run folder whose search has found nothing but drawn networks."""
    for stage in ("train", "sgld"):
        shutil.copytree(run / stage, config.folder / stage)
    with RunFolder(config) as folder:
        task = prepare(config, folder)
        searched = read_json(run / "search" / "result.json")
        rows = [row for w in searched["windows"] for row in drawn(task.space, w, seed=config.seed)]
        stage = folder.begin("search")
        write_rows(stage / ARCHIVE, rows, origin=folder.origin("search"))
        for name in (FRONT, RANDOM):
            shutil.copy(run / "search" / name, stage)
        kept = {key: searched[key] for key in ("choices", "unmet", "windows", "hypervolume")}
        result = {"seconds": 0.0, "evaluated": len(rows), **kept, "random": searched["random"]}
        folder.finish("search", result, files=[stage / ARCHIVE])  # type: ignore[arg-type]


def main() -> None:
    """Go on with every run whose rows are missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the runs")
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    own = parser.parse_args()
    rows = known(NAME)
    for run in own.runs:
        if run.name in {row["seed"] for row in rows}:
            continue
        options = {"run": str(own.work / run.name), "retrain": {"random_twins": 0, "baselines": []}}
        config = stnas.configure(run / "config.yaml", **options)
        if not (config.folder / "search" / "result.json").exists():
            shutil.rmtree(config.folder, ignore_errors=True)
            begin(run, config)
        made = stnas.Run(config).verdict().retrain()
        limits = {choice["name"]: choice["limit"] for choice in made.choices}
        rows += [
            {"seed": run.name, "limit": round(limits[row["name"]])}
            | {key: row[key] for key in ("genotype", "madds", "test_accuracy")}  # type: ignore[literal-required]
            for row in made.networks
        ]
        save(NAME, rows, machine())


if __name__ == "__main__":
    main()
