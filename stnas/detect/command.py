"""Train a detector on a found network, and write down what it finds on the test images."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stnas.classifier import Classifier, networks_of
from stnas.classifier.backbone import begun
from stnas.config import Config
from stnas.config.detect import DetectOptions
from stnas.detect.coco import Boxes, open_boxes
from stnas.detect.faster_rcnn import assembled
from stnas.detect.fit import Training
from stnas.detect.installed import check_installed, versions
from stnas.detect.scores import find, score
from stnas.group.device import kind_of, take
from stnas.group.streams import global_stream
from stnas.ops.flops import count_madds
from stnas.store.checksum import DamagedError, digest
from stnas.store.console import ANSWERS, folding_table, percent, say
from stnas.store.files import read_json
from stnas.store.machine import processor
from stnas.store.names import DETECT, DETECTION, DETECTOR, FOUND, STATE, width_name
from stnas.store.origin import mark
from stnas.store.own_files import check_own, write_own
from stnas.store.places import check_own_folders
from stnas.store.tensors import encoded_tensors, read_tensors
from stnas.supernet import Network

FILES = (DETECTOR, FOUND, DETECTION)
MODEL = ("size", "max_size", "channels", "head_width", "proposals", "regions")
"""Options that a detector is built with."""


def run(config: Config, options: DetectOptions, *, command: str) -> None:
    """Train a detector, print its average precisions, and write it with them.

    What is complete is not trained again; what was stopped goes on after its last whole epoch.
    """
    check_installed()
    place = Path(options.network).expanduser()
    target = folder_of(options, place, config)
    if options.output is None and place.is_dir():
        check_own_folders(config.folder, [DETECT])
    device = take(config.device)
    train, test = open_boxes(Path(options.coco).expanduser())
    with global_stream(config.seed, "detect", "body"):
        made = begun(place, width=options.width, trained=options.weights == "trained")
    origin = origin_of(options, config.seed, made, train, test)
    check_own(target, FILES, record=DETECTION)
    if is_complete(target, origin):
        forget_state(target, origin)
        say(f"detect: {target} is complete; delete it to train it again")
        show(read_json(target / DETECTION))
        return
    built = {name: getattr(options, name) for name in MODEL}
    with global_stream(config.seed, "detect", "heads"):
        model = assembled(made, len(train.classes), built).to(device)
    training = Training(model, train, options, seed=config.seed, folder=target, origin=origin)
    training.run(say)
    begin = time.perf_counter()
    results = find(model, test)
    network: Network = made.network
    body = {"space": dict(network.space.recipe), "genotype": network.space.format(network.genotype)}
    shape = (made.preprocess.in_channels, options.size, options.size)
    found = {
        **score(test, results),
        "madds": count_madds(model.backbone.body, shape),
        "images": {"train": len(train), "test": len(test)},
        "losses": training.losses,
        "seconds": training.seconds,
        "test_seconds": time.perf_counter() - begin,
        "machine": {"processor": processor(), "device": kind_of(device), **versions()},
        "options": asdict(options),
        "seed": config.seed,
        "genotype": body["genotype"],
        "origin": origin,
        "command": command,
    }
    kept = {"classes": train.classes, "options": built, "preprocessing": made.preprocess.to_json()}
    contents = {
        DETECTOR: bytes(encoded_tensors(model.state_dict(), **body, **kept)),
        FOUND: json.dumps(results).encode(),
    }
    write_own(target, contents, record=DETECTION, value=found)
    forget_state(target, origin)
    show(found)
    say(f"detect: {target / DETECTOR} is the detector: stnas.load_detector({str(target)!r})")


def folder_of(options: DetectOptions, place: Path, config: Config) -> Path:
    """Return the folder for what is written."""
    if options.output is not None:
        return Path(options.output).expanduser()
    if place.is_dir():
        return config.folder / DETECT / width_name(networks_of(place)[-1].name, options.width)
    return place.with_name(f"{place.stem}-detection")


def origin_of(
    options: DetectOptions, seed: int, made: Classifier, train: Boxes, test: Boxes
) -> str:
    """Return 16 digits that mark a training: network, images with boxes, options and seed."""
    asked = {k: v for k, v in asdict(options).items() if k not in ("network", "coco", "output")}
    weights = digest(*(own.detach().numpy().tobytes() for own in made.state_dict().values()))
    boxes = [digest(part.annotations.read_bytes()) for part in (train, test)]
    return mark(asked, seed, made.description["genotype"], weights, boxes)


def is_complete(target: Path, origin: str) -> bool:
    """Tell whether a folder holds this very training, whole."""
    if not all((target / name).exists() for name in FILES):
        return False
    return bool(read_json(target / DETECTION).get("origin") == origin)


def forget_state(target: Path, origin: str) -> None:
    """Remove the state of a training that is complete; one of another training stays."""
    state = target / STATE
    with suppress(DamagedError):
        if state.exists() and read_tensors(state)[1].get("origin") == origin:
            state.unlink()


def show(found: Mapping[str, Any]) -> None:
    """Print the average precisions, in all and of every class."""
    table = folding_table("boxes", "average precision")
    names = {"ap": "all", "ap50": "all, overlap .5", "ap75": "all, overlap .75"}
    sizes = {"ap_small": "below 32 x 32", "ap_medium": "up to 96 x 96", "ap_large": "larger"}
    for name, words in (names | sizes).items():
        table.add_row(words, percent(found[name], digits=1))
    for name, value in found["classes"].items():
        table.add_row(name, percent(value, digits=1))
    ANSWERS.print(table)
    ANSWERS.print(f"backbone: {found['madds']:,} MAdds at {found['options']['size']} pixels a side")
