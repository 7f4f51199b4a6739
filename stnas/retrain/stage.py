"""Train the chosen networks, and random ones of the same multiply-adds, the same way."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from stnas.config import Config
from stnas.data import FileSplit, Split
from stnas.data.epochs import evaluation_batches
from stnas.group.processes import current, led
from stnas.learn.evaluation import evaluate_together
from stnas.learn.gradients import own_parts
from stnas.learn.memory import repaired_by, smaller_batches, smaller_tests
from stnas.learn.network_fit import Fit
from stnas.learn.scoring import Scorer, scorer
from stnas.learn.step_graph import check_graph
from stnas.learn.task import (
    Task,
    build_network,
    check_batch,
    check_start,
    prepare,
    training_images,
)
from stnas.retrain.plan import asked, plan, shortfalls
from stnas.space import SearchSpace
from stnas.store.checksum import DamagedError
from stnas.store.files import check_identity, check_origin, read_json, write_json
from stnas.store.journal import Chapter, Journal, Log
from stnas.store.names import DESCRIPTION, NETWORK, RESULT, STATE, previous
from stnas.store.origin import mark
from stnas.store.results import RetrainResult
from stnas.store.rows import ChoiceRow, NetworkRow, typed_row, typed_rows
from stnas.store.run_folder import RunFolder
from stnas.store.stages import reads
from stnas.store.tensors import read_tensors, write_tensors


def check(config: Config, task: Task) -> None:
    """Raise ValueError where the trainings could not work on these images."""
    own_parts("retrain", config.retrain)
    check_graph(config.retrain, task.dataset.device)
    check_batch("retrain.batch_size", config.retrain.batch_size, len(training_images(config, task)))


def run(config: Config) -> None:
    """Train every network to ``<name>/network.safetensors``; finished, whole ones are kept.

    With other options or choices they come beside those that there are, in folders whose names
    end with a mark.
    """
    with RunFolder(config) as folder:
        check_start(folder, "retrain")
        chooser = reads("retrain", config)[-1]
        choices = folder.result(chooser)["choices"]
        task = prepare(config, folder)
        costs = tuple(task.space.costs)
        typed_rows(ChoiceRow, choices, folder.path / chooser / RESULT, costs=costs)
        check(config, task)
        choices = asked(config, task.space) or choices
        stage = folder.begin("retrain")
        dataset = task.dataset
        means = replace(config, search=replace(config.search, bound=0.0))
        with repaired_by(less_to_score := smaller_batches(config.search)):
            validation = scorer(means, task, folder, split=dataset.validation)
        size = config.search.evaluation_batch
        test = validation.on(evaluation_batches(dataset, dataset.test, size=size))
        plans = plan(config, task.space, choices)
        split = training_images(config, task)
        begin = time.perf_counter()
        networks, files = list[NetworkRow](), list[Path]()
        with Journal(folder, "retrain", total=len(plans)) as journal:
            for line in shortfalls(config, plans):
                journal.say(line)
            for position, entry in enumerate(plans):
                entry["origin"] = folder.origin("retrain")
                state = folder.origin("retrain", entry["name"], entry["genotype"])
                place = current().first(partial(place_of, stage, entry, state))
                if place.name != entry["name"]:
                    journal.say(f"retrain: {entry['name']} comes beside the one before: {place}")
                if not current().first(partial(is_trained, place, entry, journal)):
                    with repaired_by(less_to_score):
                        entry |= before_training(task.space, entry, validation, test)
                    units = config.retrain.epochs
                    chapter = Chapter(journal, place.name, position=position, units=units)
                    train(config, task, split, entry, place, chapter, state=state)
                networks.append(current().first(partial(described, place, costs)))
                files += [place / DESCRIPTION, place / NETWORK]
        # Those that were trained before are part of the result, and so is their time.
        seconds = max(time.perf_counter() - begin, sum(row["seconds"] for row in networks))
        result: RetrainResult = {"seconds": seconds, "networks": networks}
        folder.finish("retrain", result, files=files)


def place_of(stage: Path, entry: dict[str, Any], state: str) -> Path:
    """Return the folder of a network: its name's, or one beside it where another lies there.

    state: origin of the network's states.
    """
    own: Path = stage / entry["name"]
    if belongs(own, entry, state):
        return own
    return stage / f"{entry['name']}-{mark(entry['origin'], entry['genotype'])[:8]}"


def belongs(folder: Path, entry: dict[str, Any], state: str) -> bool:
    """Tell whether a folder is free for a network, or holds it, whole or begun or damaged."""
    wanted = {"genotype": entry["genotype"], "origin": entry["origin"]}
    for name, marks in (
        (DESCRIPTION, wanted),
        (NETWORK, wanted),
        (STATE, {"origin": state}),
        (previous(STATE), {"origin": state}),
    ):
        if not (folder / name).exists():
            continue
        try:
            read = read_json if name == DESCRIPTION else read_metadata
            found = read(folder / name)
        except DamagedError:
            continue
        return all(found.get(key) == value for key, value in marks.items())
    return True


def read_metadata(file: Path) -> dict[str, Any]:
    """Read what a file of tensors tells of itself."""
    return read_tensors(file)[1]


def described(folder: Path, costs: tuple[str, ...]) -> NetworkRow:
    """Read the description of a trained network; costs: names of those of its space."""
    file = folder / DESCRIPTION
    return typed_row(NetworkRow, read_json(file), file, costs=costs)


def is_trained(folder: Path, entry: dict[str, Any], journal: Journal) -> bool:
    """Tell whether a network is there and whole; say so if it is there and is not."""
    if not (folder / DESCRIPTION).exists():
        return False
    try:
        description = read_json(folder / DESCRIPTION)
        _, metadata = read_tensors(folder / NETWORK)
        for found, name in ((description, DESCRIPTION), (metadata, NETWORK)):
            check_origin(found, entry["origin"], folder / name)
        check_identity(description, folder / DESCRIPTION, role=entry["role"])
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
    if "space" in entry:
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
    *,
    state: str,
) -> None:
    """Train one network and write its weights, then its description.

    state: origin of its states.
    """
    space = SearchSpace.from_json(entry["space"]) if "space" in entry else task.space
    network = build_network(config, space, space.parse(entry["genotype"]), entry["name"])
    fit = Fit(
        config,
        task.dataset,
        split,
        network,
        name=entry["name"],
        folder=folder,
        origin=state,
    )
    history, seconds = fit.run(journal)
    with repaired_by(smaller_tests(config.retrain)):
        tested = evaluate_together(network, fit.test, current())
    marks = {name: entry[name] for name in ("genotype", "origin")}
    led(write_tensors)(folder / NETWORK, network.state_dict(), **marks)
    description: NetworkRow = {
        **cast(NetworkRow, entry),
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
