"""Classifiers on disk: a network's folder in a run, a run, or one file that was exported."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stnas.classifier.classifier import Classifier
from stnas.classifier.preprocessing import Preprocessing
from stnas.config import Config, DataConfig, Kernels
from stnas.config.keys import build
from stnas.space import SearchSpace
from stnas.store.files import read_json
from stnas.store.names import CONFIG, DESCRIPTION, NETWORK, RESULT
from stnas.store.origin import completed
from stnas.store.tensors import load_tensors_, read_tensors, write_tensors
from stnas.supernet import Network

RETRAIN = "retrain"


def load(path: str | Path, *, kernels: Kernels = "fused") -> Classifier:
    """Load a trained network with its classes and preprocessing, in evaluation mode.

    path: ``RUN/retrain/A``; ``RUN``, for the largest of its chosen networks; or a safetensors file
    that ``stnas export`` wrote. kernels: as ``stnas.load_network`` says. FileNotFoundError or
    ValueError: there is no whole network.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        folder = networks_of(place)[-1]
        tensors, _ = read_tensors(folder / NETWORK)
        description = read_json(folder / DESCRIPTION)
        return classifier(description, preprocessing_of(folder, description), tensors, kernels)
    if not place.exists():
        raise FileNotFoundError(
            f"path must be a run folder, a folder in its retrain/ or a file that was exported, got "
            f"{path}, which does not exist: correct it"
        )
    tensors, metadata = read_tensors(place)
    if "preprocessing" not in metadata:
        raise ValueError(
            f"path must be a file that `stnas export --to safetensors` wrote, got {path}, which "
            f"holds weights alone: give its folder, {place.parent}"
        )
    preprocess = Preprocessing.from_json(metadata["preprocessing"])
    return classifier(metadata["description"], preprocess, tensors, kernels, file=place)


def save(made: Classifier, file: Path) -> None:
    """Write a classifier as one safetensors file, which ``load`` reads."""
    write_tensors(
        file,
        made.network.state_dict(),
        description=made.description,
        preprocessing=made.preprocess.to_json(),
    )


def classifier(
    description: Mapping[str, Any],
    preprocess: Preprocessing,
    tensors: Mapping[str, Any],
    kernels: Kernels,
    *,
    file: Path = Path(NETWORK),
) -> Classifier:
    """Build a network, load its weights and put its preprocessing beside it."""
    space = SearchSpace.from_json(description["space"])
    network = Network.build(space, space.parse(description["genotype"]), kernels=kernels)
    load_tensors_(network, tensors, file)
    return Classifier(network, preprocess, description).eval()


def networks_of(path: Path) -> list[Path]:
    """List the folders of networks that a path means: one, or the chosen ones of a run.

    Those of a run come in the order of their limits, smallest first.
    """
    if (path / DESCRIPTION).exists():
        return [path]
    if not (path / RETRAIN / RESULT).exists():
        raise FileNotFoundError(
            f"{path} must be the folder of a run whose networks are trained, or of one of them "
            f"(RUN/retrain/A), got neither: correct it, or run `stnas retrain --run {path}`"
        )
    rows = read_json(path / RETRAIN / RESULT)["networks"]
    wanted = [(row["genotype"], row["origin"]) for row in rows if row["role"] == "chosen"]
    found = {}
    for file in sorted((path / RETRAIN).glob(f"*/{DESCRIPTION}")):
        row = read_json(file)
        found[(row["genotype"], row["origin"])] = file.parent
    return [found[key] for key in wanted if key in found]


def preprocessing_of(folder: Path, description: Mapping[str, Any]) -> Preprocessing:
    """Return how the images of a network's run are prepared; the defaults without its record."""
    record = folder.absolute().parent / CONFIG
    sections = read_json(record) if record.exists() else {}
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
