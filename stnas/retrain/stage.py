"""Train the chosen networks, and random ones of the same multiply-adds, the same way."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stnas.config import Config
from stnas.data import FileSplit, Split
from stnas.data.epochs import evaluation_batches, union
from stnas.group.processes import current
from stnas.group.streams import derive, global_stream
from stnas.learn.gradients import own_parts
from stnas.learn.network_fit import Fit
from stnas.learn.scoring import Scorer, scorer
from stnas.learn.task import Task, prepare
from stnas.space import SearchSpace
from stnas.store.checksum import DamagedError
from stnas.store.files import check_origin, read_json, read_tensors, write_json, write_tensors
from stnas.store.journal import Chapter, Journal, Log
from stnas.store.run_folder import RunFolder
from stnas.supernet import Network

TWIN_SAMPLES = 4096


def run(config: Config) -> None:
    """Train every network to ``<name>/network.safetensors``; finished, whole ones are kept."""
    with RunFolder(config) as folder:
        folder.check("retrain")
        chooser = "verdict" if config.verdict.candidates else "search"
        choices = folder.result(chooser)["choices"]
        own_parts("retrain", config.retrain)
        task = prepare(config, folder)
        stage = folder.begin("retrain")
        dataset = task.dataset
        means = replace(config, search=replace(config.search, bound=0.0))
        validation = scorer(means, task, folder.path, split=dataset.validation)
        size = config.search.evaluation_batch
        test = validation.on(evaluation_batches(dataset, dataset.test, size=size))
        plans = plan(config, task.space, choices)
        split = dataset.train
        if config.retrain.with_validation:
            split = union(dataset.train, dataset.validation)
        begin = time.perf_counter()
        networks = []
        with Journal(folder, "retrain", total=len(plans)) as journal:
            for position, entry in enumerate(plans):
                place, entry["origin"] = stage / entry["name"], folder.origin("retrain")
                if not current().first(partial(is_trained, place, entry, journal)):
                    entry.update(before_training(task.space, entry, validation, test))
                    units = config.retrain.epochs
                    chapter = Chapter(journal, entry["name"], position=position, units=units)
                    train(config, task, split, entry, place, chapter)
                networks.append(current().first(partial(read_json, place / "network.json")))
        folder.finish("retrain", {"seconds": time.perf_counter() - begin, "networks": networks})


def is_trained(folder: Path, entry: dict[str, Any], journal: Journal) -> bool:
    """Tell whether a network is there and whole; say so if it is there and is not."""
    if not (folder / "network.json").exists():
        return False
    try:
        description = read_json(folder / "network.json")
        _, metadata = read_tensors(folder / "network.safetensors")
        for found, name in ((description, "network.json"), (metadata, "network.safetensors")):
            check_origin(found, entry["origin"], folder / name)
    except (DamagedError, FileNotFoundError) as error:
        journal.say(f"{str(error).partition(': ')[0]}: the network is trained again")
        return False
    return bool(description["genotype"] == metadata["genotype"] == entry["genotype"])


def plan(config: Config, space: SearchSpace, choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """List the networks to train: each choice, followed by its random twins."""
    entries = []
    for choice in choices:
        known = {name: choice[name] for name in ("name", "genotype", "madds", "params")}
        entries.append({**known, "role": "chosen"})
        seed = derive(config.seed, "twins", choice["name"])
        twins = random_twins(space, choice["genotype"], config.retrain.random_twins, seed=seed)
        for number, twin in enumerate(twins, start=1):
            entries.append(
                {
                    "name": f"{choice['name']}-random-{number}",
                    "genotype": space.format(twin),
                    "madds": int(space.madds(twin[None])[0]),
                    "params": int(space.params(twin[None])[0]),
                    "role": "random",
                }
            )
    return entries


def random_twins(
    space: SearchSpace, genotype: str, count: int, *, seed: int
) -> list[NDArray[np.int8]]:
    """Draw random architectures and keep those whose MAdds are nearest to a genotype's.

    They are drawn with the p_drop whose mean is nearest to the genotype's MAdds. None is the
    genotype's own network or another's, however it is written.
    """
    own = space.parse(genotype)
    target = int(space.madds(own[None])[0])
    drawn = space.sample(TWIN_SAMPLES, p_drop=space.nearest_p_drop(target), seed=seed)
    drawn = np.unique(drawn, axis=0)
    order = np.argsort(np.abs(space.madds(drawn) - target), kind="stable")
    known, twins = {str(space.canonical(own[None])[0])}, list[NDArray[np.int8]]()
    for twin in drawn[order]:
        if len(twins) == count:
            break
        key = str(space.canonical(twin[None])[0])
        twins += [] if key in known else [twin]
        known.add(key)
    return twins


def before_training(
    space: SearchSpace, entry: dict[str, Any], validation: Scorer, test: Scorer
) -> dict[str, float]:
    """Measure a network under the shared weights, on held-out and on test images."""
    genotypes = space.parse(entry["genotype"])[None]
    return {
        "validation_accuracy": validation(genotypes)[0].accuracy,
        "test_accuracy_before": test(genotypes)[0].accuracy,
    }


def train(
    config: Config,
    task: Task,
    split: Split | FileSplit,
    entry: dict[str, Any],
    folder: Path,
    journal: Log,
) -> None:
    """Train one network and write its weights, then its description."""
    space = task.space
    with global_stream(config.seed, "retrain", entry["name"]):
        network = Network.build(space, space.parse(entry["genotype"]), kernels=config.kernels)
    fit = Fit(config, task.dataset, split, network, folder=folder, origin=entry["origin"])
    history, seconds = fit.run(journal)
    marks = {name: entry[name] for name in ("genotype", "origin")}
    write_tensors(folder / "network.safetensors", network.state_dict(), **marks)
    description = {
        **entry,
        "test_accuracy": history[-1]["accuracy"],
        "seconds": seconds,
        "history": history,
        "space": dict(space.recipe),
        "classes": list(task.dataset.classes),
        "mean": list(task.dataset.mean),
        "std": list(task.dataset.std),
    }
    write_json(folder / "network.json", description)
    fit.saver.drop()
