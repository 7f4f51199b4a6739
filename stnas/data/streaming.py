"""Stream a folder of images that is too big for memory, with the backend of the configuration."""

import hashlib
import importlib
import importlib.util
import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stnas.config.data import DataConfig
from stnas.config.settling import settled
from stnas.data.balance import limited, validation_rows
from stnas.data.changes import refuse_changed, refuse_rewritten
from stnas.data.dataset import Dataset, FileSplit, statistics
from stnas.data.decode import each, refuse
from stnas.data.folder import list_folder
from stnas.data.idx import is_idx_folder
from stnas.data.order import Indices
from stnas.data.pillow_reader import cut
from stnas.data.requests import Request, evaluation_requests
from stnas.data.scan import Say, Scan, scan_files

_SAMPLE = 1024
_LOG = logging.getLogger(__name__)
Batch = tuple[Tensor, Tensor]


def reader(config: DataConfig) -> Any:
    """Return the module that reads with the backend: its functions are ``name`` and ``read``."""
    return importlib.import_module(f"stnas.data.{config.backend}_reader")


def batches(
    split: FileSplit,
    requests: Iterator[Request],
    *,
    mean: Sequence[float],
    std: Sequence[float],
) -> Iterator[Batch]:
    """Yield the images, float32 ``[B, 3, S, S]`` channels last, and the labels of each request.

    ValueError: a file cannot be read any more, or has changed; it is named.
    """
    asked: list[Request] = []

    def remembered() -> Iterator[Request]:
        for request in requests:
            asked.append(request)
            yield request

    source = reader(split.config).read(remembered(), config=split.config, mean=mean, std=std)
    with closing(source):
        while True:
            try:
                batch = next(source, None)
            except (OSError, ValueError, RuntimeError) as error:
                refuse_changed(asked, because=error)
                raise
            if batch is None:
                return
            refuse_rewritten(asked[0])
            yield batch
            del asked[0]


def open_streamed(
    config: DataConfig, *, seed: int, known: Scan | None, say: Say
) -> tuple[Dataset, Scan]:
    """Look at every file of the folder and divide the images; the pixels stay on the disk.

    known: what an earlier scan found. Return the data set and what is known now. ValueError: the
    folder breaks a rule, or has broken files that are not to be skipped.
    """
    config = settled(config)
    root = _root(config)
    found = list_folder(root)
    rows = limited(found.labels, limit=config.train_limit, name="data.train_limit")
    test = limited(found.test_labels, limit=config.test_limit, name="data.test_limit")
    files = [*(found.files[row] for row in rows), *(found.test_files[row] for row in test)]
    labels = np.concatenate((found.labels[rows], found.test_labels[test]))
    scan, broken = scan_files(files, root=root, known=known, workers=config.workers, say=say)
    _settle_broken(broken, root=root, config=config)
    lost = {file for file, _ in broken}
    whole = np.array([file not in lost for file in files])
    count = int(whole[: len(rows)].sum())
    _check_classes(labels[whole], count, classes=found.classes, root=root)
    everything = FileSplit(
        tuple(file for file in files if file not in lost),
        scan.facts[:, :2],
        scan.stamps,
        torch.from_numpy(labels[whole]),
        config,
    )
    kept, held = validation_rows(
        labels[whole][:count], classes=found.classes, config=config, seed=seed, origin=root
    )
    groups = (kept, held, np.arange(count, len(everything), dtype=np.int64))
    say(
        f"images are streamed from {root} by {reader(config).name()} "
        f"({'GPU' if config.decoder == 'mixed' else 'processor'})"
    )
    return _assembled(everything, scan, groups, root=root, classes=found.classes), scan


def _root(config: DataConfig) -> Path:
    """Return the folder that is streamed; ValueError: it is no folder of image files."""
    root = Path(config.path).expanduser()
    if config.path in ("auto", "embedded") or not root.is_dir() or is_idx_folder(root):
        raise ValueError(
            f"data.path must be a folder of image files with data.backend {config.backend}, got "
            f"{config.path!r}: correct the path, or set data.backend memory"
        )
    return root


def _settle_broken(broken: Sequence[tuple[Path, str]], *, root: Path, config: DataConfig) -> None:
    """Refuse broken files, or list those that are left out in the log."""
    if config.broken == "refuse":
        refuse(broken, root=root, repair=" (or leave them out: --data.broken skip)")
    for file, reason in broken:
        _LOG.warning("left out: %s: %s", file, reason)


def _check_classes(labels: Indices, count: int, *, classes: tuple[str, ...], root: Path) -> None:
    """Refuse a class that has no images left, in training or in test."""
    for part, own in (("training", labels[:count]), ("test", labels[count:])):
        missing = np.flatnonzero(np.bincount(own, minlength=len(classes)) == 0)
        if len(own) == 0 or (part == "training" and len(missing) > 0):
            names = ", ".join(classes[c] for c in missing[:20])
            raise ValueError(
                f"{root}: every class must have readable {part} images, got none in {names}: "
                "replace the broken files or remove the class"
            )


def _assembled(
    everything: FileSplit,
    scan: Scan,
    groups: tuple[Indices, Indices, Indices],
    *,
    root: Path,
    classes: tuple[str, ...],
) -> Dataset:
    """Divide the images; mean and standard deviation are those of a sample of the training set."""
    train, validation, test = (everything.take(torch.from_numpy(rows)) for rows in groups)
    mean, std = statistics(_sample(train, root=root))
    digest = hashlib.sha256(repr((everything.image_size, everything.config.resize)).encode())
    for rows in groups:
        digest.update(scan.facts[rows, 2].astype("<i8").tobytes())
        digest.update(everything.labels[torch.from_numpy(rows)].numpy().astype("<i8").tobytes())
    return Dataset(
        train=train,
        validation=validation,
        test=test,
        name=root.resolve().name,
        classes=classes,
        mean=mean,
        std=std,
        fingerprint=digest.hexdigest()[:16],
    )


def _sample(split: FileSplit, *, root: Path) -> Tensor:
    """Decode up to 1,024 images, evenly spread, as they are evaluated: uint8 ``[n, 3, S, S]``.

    Pillow does it for every backend, so that the statistics are the same.
    """
    rows = np.unique(np.linspace(0, len(split) - 1, _SAMPLE).round().astype(np.int64))
    chosen = split.take(torch.from_numpy(rows))
    (request,) = evaluation_requests(chosen, size=len(chosen))
    places = {file: row for row, file in enumerate(request.files)}
    images, broken = each(
        lambda file: cut(request, places[file], split.image_size),
        request.files,
        workers=split.config.workers,
    )
    refuse(broken, root=root)
    refuse_rewritten(request)
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
