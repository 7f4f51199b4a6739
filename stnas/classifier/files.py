"""Classifiers on disk: a network's folder in a run, a run, or one file that was exported."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stnas.classifier.classifier import Classifier
from stnas.classifier.preprocessing import Preprocessing
from stnas.config import Config, DataConfig, Kernels
from stnas.config.keys import build
from stnas.config.rules import width as check_width
from stnas.space import SearchSpace
from stnas.store.complete import read_result, record_of
from stnas.store.files import read_json
from stnas.store.names import CONFIG, DESCRIPTION, RESULT, width_name
from stnas.store.origin import completed
from stnas.store.tensors import load_tensors_, read_tensors, write_tensors
from stnas.supernet import Network
from stnas.supernet.load import described_network

RETRAIN = "retrain"
SHOWN = 8
"""Names of networks in a message."""
OTHERS = {
    ".onnx": "ONNX Runtime",
    ".pt2": "torch.export.load",
    ".xml": "OpenVINO",
    ".bin": "OpenVINO",
}
"""What computes the files of the other forms of an export, by how they end."""


def load(path: str | Path, *, kernels: Kernels = "fused", width: float = 1) -> Classifier:
    """Load a trained network with its classes and preprocessing, in evaluation mode.

    path: ``RUN/retrain/A``; ``RUN``, for the largest of its chosen networks; or a safetensors file
    that ``stnas export`` wrote. kernels: as ``stnas.load_network`` says. width: the network with
    its channels scaled by this factor, which ``retrain.widths`` trains. FileNotFoundError or
    ValueError: there is no whole network.
    """
    place = Path(path).expanduser()
    if place.is_dir() or (not place.exists() and place.parent.name == RETRAIN):
        folder = of_width(networks_of(place)[-1], width)
        network, known = described_network(folder, kernels=kernels)
        return Classifier(network, preprocessing_of(folder, known), known).eval()
    if width != 1:
        raise ValueError(
            f"width must be 1 for a file, which holds one network, got {width:g}: give the run, or "
            "export the network of that width"
        )
    if not place.exists():
        raise FileNotFoundError(
            f"path must be a run folder, a folder in its retrain/ or a file that was exported, got "
            f"{path}, which does not exist: correct it"
        )
    if place.suffix in OTHERS:
        raise ValueError(
            f"path must be a run, a network's folder or a safetensors file, got {path}, which is "
            f"for {OTHERS[place.suffix]}: give the run, or export with --to safetensors"
        )
    tensors, metadata = read_tensors(place)
    if "preprocessing" not in metadata:
        raise ValueError(
            f"path must be a file that `stnas export --to safetensors` wrote, got {path}, which "
            f"holds weights alone: give its folder, {place.parent}"
        )
    description = metadata["description"]
    space = SearchSpace.from_json(description["space"])
    network = Network.build(space, space.parse(description["genotype"]), kernels=kernels)
    load_tensors_(network, tensors, place)
    preprocess = Preprocessing.from_json(metadata["preprocessing"])
    return Classifier(network, preprocess, description).eval()


def save(made: Classifier, file: Path) -> None:
    """Write a classifier as one safetensors file, which ``load`` reads."""
    write_tensors(
        file,
        made.network.state_dict(),
        description=made.description,
        preprocessing=made.preprocess.to_json(),
    )


def networks_of(path: Path) -> list[Path]:
    """List the folders of networks that a path means: one, or the chosen ones of a run.

    Those of a run come in the order of their limits, smallest first. FileNotFoundError: one of
    them, or the result of retraining, is not there.
    """
    if (path / DESCRIPTION).exists():
        return [path]
    there = sorted(file.parent.name for file in path.parent.glob(f"*/{DESCRIPTION}"))
    if path.parent.name == RETRAIN and there:
        more = f" and {len(there) - SHOWN} more" if len(there) > SHOWN else ""
        raise FileNotFoundError(
            f"{path} must be a network that is trained, got one that is not there: name one of "
            f"{', '.join(there[:SHOWN])}{more}"
        )
    if not (path / RETRAIN / RESULT).exists():
        raise FileNotFoundError(
            f"{path} must be the folder of a run whose networks are trained, or of one of them "
            f"(RUN/retrain/A), got neither: correct it, or run `stnas retrain --run {path}`"
        )
    rows = read_result(path, RETRAIN, files=False)["networks"]
    wanted = [(row["genotype"], row["origin"]) for row in rows if row["role"] == "chosen"]
    found = {}
    for file in sorted((path / RETRAIN).glob(f"*/{DESCRIPTION}")):
        row = read_json(file)
        if row.get("role") != "again":
            found[(row.get("genotype"), row.get("origin"))] = file.parent
    for genotype, _ in (key for key in wanted if key not in found):
        raise FileNotFoundError(
            f"{path / RETRAIN} has no {DESCRIPTION} of the chosen network {genotype}: restore it "
            f"from a copy, or delete {path / RETRAIN / RESULT} and run "
            f"`stnas retrain --run {path}`; what is whole is kept"
        )
    return [found[key] for key in wanted]


def of_width(folder: Path, width: float) -> Path:
    """Return the folder of the same network with scaled channels, beside a network's folder.

    FileNotFoundError: it is not trained, and with other channels no weights fit.
    """
    check_width("width", width)
    found = folder.with_name(width_name(folder.name, width))
    if not (found / DESCRIPTION).exists():
        run = shlex.quote(str(folder.absolute().parents[1]))
        raise FileNotFoundError(
            f"width {width:g} needs a training, since weights of {folder.name} fit no other width, "
            f"got none in {found}: run `stnas retrain --run {run} --retrain.widths "
            f"[{width:g}]`, which keeps what is trained"
        )
    return found


def preprocessing_of(folder: Path, description: Mapping[str, Any]) -> Preprocessing:
    """Return how the images of a network's run are prepared; the defaults without its record."""
    stage = folder.absolute().parent
    begun = stage.name == RETRAIN and (stage / CONFIG).exists()
    sections = record_of(stage.parent, RETRAIN).sections if begun else {}
    data = completed({k: v for k, v in sections.items() if k == "data"}, ("data",))["data"]
    named = {f"data.{name}": _tuples(value) for name, value in data.items()}
    config: DataConfig = build(named, Config).data
    space = SearchSpace.from_json(description["space"])
    return Preprocessing.of(
        config,
        image_size=space.head.image_size,
        in_channels=space.head.in_channels,
        mean=description["mean"],
        std=description["std"],
    )


def _tuples(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
