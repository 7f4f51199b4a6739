"""Find the data set that a configuration names and divide it into its splits."""

import logging
from pathlib import Path

import torch

from stnas.config.data import DataConfig
from stnas.data.balance import limited, validation_rows
from stnas.data.dataset import Dataset, Split, assemble
from stnas.data.folder import folder_source
from stnas.data.idx import idx_source, is_idx_folder
from stnas.data.npz import npz_source
from stnas.data.order import Indices
from stnas.data.source import Source
from stnas.data.streaming import open_streamed

EMBEDDED = Path(__file__).parent / "embedded"
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
_LOG = logging.getLogger(__name__)


def load(config: DataConfig, *, seed: int) -> Dataset:
    """Load the data set; ``seed`` decides which training images are held out.

    The limits choose the same images for every seed, and the test split never enters the
    validation split. With a streaming backend the pixels stay on the disk. ValueError: the data
    breaks a rule of its format, or does not fit into 4 GiB.
    """
    if config.streamed:
        return open_streamed(config, seed=seed, known=None, say=_LOG.info)[0]
    source = open_source(config)
    rows = limited(source.train_labels, limit=config.train_limit, name="data.train_limit")
    test = limited(source.test_labels, limit=config.test_limit, name="data.test_limit")
    rows, test = source.whole(rows, test)
    kept, held = validation_rows(
        source.train_labels[rows],
        classes=source.classes,
        config=config,
        seed=seed,
        origin=config.path,
    )
    groups = (rows[kept], rows[held], test)
    images = source.read(*groups)
    labels = (source.train_labels, source.train_labels, source.test_labels)
    train, validation, tested = (
        Split(pixels, _tensor(label[chosen]))
        for pixels, label, chosen in zip(images, labels, groups, strict=True)
    )
    return assemble(
        train=train, validation=validation, test=tested, name=source.name, classes=source.classes
    )


def open_source(config: DataConfig) -> Source:
    """Open what ``data.path`` names, by its kind; ValueError: there is no such data set."""
    path = config.path
    if path == "auto":
        path = str(INSTALLED) if is_idx_folder(INSTALLED) else "embedded"
        _LOG.info("data.path auto: %s", path)
    if path == "embedded":
        return idx_source(EMBEDDED, name="fashion-mnist-embedded", config=config)
    place = Path(path).expanduser()
    if place.is_dir():
        if is_idx_folder(place):
            return idx_source(place, name=place.resolve().name, config=config)
        return folder_source(place, config=config)
    if place.is_file() and place.suffix == ".npz":
        return npz_source(place, config=config)
    raise ValueError(
        f"data.path must be auto, embedded, a folder or an .npz file, got {path!r}, "
        f"which {'is another file' if place.exists() else 'does not exist'}: correct "
        "the path"
    )


def _tensor(labels: Indices) -> torch.Tensor:
    """Return labels as an int64 tensor of their own."""
    return torch.from_numpy(labels.copy())
