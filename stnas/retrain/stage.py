"""Train the chosen networks, and random ones of the same multiply-adds, the same way."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from stnas.config import Config
from stnas.data import FileSplit, Split
from stnas.data.epochs import evaluation_batches, union
from stnas.group.processes import current, led
from stnas.group.streams import global_stream
from stnas.learn.evaluation import evaluate_together
from stnas.learn.gradients import own_parts
from stnas.learn.network_fit import Fit
from stnas.learn.scoring import Scorer, scorer
from stnas.learn.task import Task, check_start, prepare
from stnas.retrain.plan import plan, shortfalls
from stnas.space import SearchSpace
from stnas.store.checksum import DamagedError
from stnas.store.files import check_origin, read_json, read_tensors, write_json, write_tensors
from stnas.store.journal import Chapter, Journal, Log
from stnas.store.names import DESCRIPTION, NETWORK
from stnas.store.run_folder import RunFolder
from stnas.store.stages import reads
from stnas.supernet import Network


def run(config: Config) -> None:
    """Train every network to ``<name>/network.safetensors``; finished, whole ones are kept."""
    with RunFolder(config) as folder:
        check_start(folder, "retrain")
        choices = folder.result(reads("retrain", config)[-1])["choices"]
        own_parts("retrain", config.retrain)
        task = prepare(config, folder)
        stage = folder.begin("retrain")
        dataset = task.dataset
        means = replace(config, search=replace(config.search, bound=0.0))
        validation = scorer(means, task, folder, split=dataset.validation)
        size = config.search.evaluation_batch
        test = validation.on(evaluation_batches(dataset, dataset.test, size=size))
        plans = plan(config, task.space, choices)
        split = dataset.train
        if config.retrain.with_validation:
            split = union(dataset.train, dataset.validation)
        begin = time.perf_counter()
        networks = []
        with Journal(folder, "retrain", total=len(plans)) as journal:
            for line in shortfalls(config, plans):
                journal.say(line)
            for position, entry in enumerate(plans):
                place, entry["origin"] = stage / entry["name"], folder.origin("retrain")
                if not current().first(partial(is_trained, place, entry, journal)):
                    entry |= before_training(task.space, entry, validation, test)
                    units = config.retrain.epochs
                    chapter = Chapter(journal, entry["name"], position=position, units=units)
                    train(config, task, split, entry, place, chapter)
                networks.append(current().first(partial(read_json, place / DESCRIPTION)))
        folder.finish("retrain", {"seconds": time.perf_counter() - begin, "networks": networks})


def is_trained(folder: Path, entry: dict[str, Any], journal: Journal) -> bool:
    """Tell whether a network is there and whole; say so if it is there and is not."""
    if not (folder / DESCRIPTION).exists():
        return False
    try:
        description = read_json(folder / DESCRIPTION)
        _, metadata = read_tensors(folder / NETWORK)
        for found, name in ((description, DESCRIPTION), (metadata, NETWORK)):
            check_origin(found, entry["origin"], folder / name)
    except (DamagedError, FileNotFoundError) as error:
        journal.say(f"{str(error).partition(': ')[0]}: the network is trained again")
        return False
    return bool(description["genotype"] == metadata["genotype"] == entry["genotype"])


def before_training(
    space: SearchSpace, entry: dict[str, Any], validation: Scorer, test: Scorer
) -> dict[str, float | None]:
    """Measure a network under the shared weights, on held-out and on test images.

    A hand-made network has none.
    """
    if entry["role"] == "baseline":
        return {"validation_accuracy": None, "test_accuracy_before": None}
    genotypes = space.parse(entry["genotype"])[None]
    held, tested = validation(genotypes)[0], test(genotypes)[0]
    return {
        "validation_accuracy": held.accuracy,
        "validation_balanced_accuracy": held.balanced_accuracy,
        "test_accuracy_before": tested.accuracy,
        "test_balanced_accuracy_before": tested.balanced_accuracy,
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
    space = SearchSpace.from_json(entry["space"]) if "space" in entry else task.space
    with global_stream(config.seed, "retrain", entry["name"]):
        network = Network.build(space, space.parse(entry["genotype"]), kernels=config.kernels)
    fit = Fit(
        config,
        task.dataset,
        split,
        network,
        name=entry["name"],
        folder=folder,
        origin=entry["origin"],
    )
    history, seconds = fit.run(journal)
    tested = evaluate_together(network, fit.test, current())
    marks = {name: entry[name] for name in ("genotype", "origin")}
    led(write_tensors)(folder / NETWORK, network.state_dict(), **marks)
    description = {
        **entry,
        "test_accuracy": history[-1]["accuracy"],
        "test_balanced_accuracy": tested.balanced_accuracy,
        "test_recalls": list(tested.recalls),
        "seconds": seconds,
        "history": history,
        "space": dict(space.recipe),
        "classes": list(task.dataset.classes),
        "mean": list(task.dataset.mean),
        "std": list(task.dataset.std),
    }
    led(write_json)(folder / DESCRIPTION, description)
    fit.saver.drop()
