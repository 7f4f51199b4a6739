"""Stream a folder of images that is too big for memory, with the backend of the configuration."""

import hashlib
import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stnas.config.data import DataConfig
from stnas.config.settling import settled
from stnas.data.balance import limited, validation_rows
from stnas.data.changes import refuse_changed, refuse_rewritten
from stnas.data.dataset import Dataset, FileSplit, statistics
from stnas.data.decode import SKIP, each, listed, refuse, say_left_out
from stnas.data.folder import check_left, list_folder
from stnas.data.idx import is_idx_folder
from stnas.data.order import Indices
from stnas.data.pillow_reader import cut
from stnas.data.proposal import settled_size
from stnas.data.requests import Request, evaluation_requests
from stnas.data.scan import Say, Scan, Trial, scan_files

_SAMPLE = 1024
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
                refuse_changed(asked, split.config, because=error)
                _refuse_beyond(asked, split.config, because=error)
                raise
            if batch is None:
                return
            refuse_rewritten(asked[0], split.config)
            yield batch
            del asked[0]


def _refuse_beyond(requests: Sequence[Request], config: DataConfig, *, because: Exception) -> None:
    """Raise ValueError that names the files of some batches that DALI cannot decode, if any."""
    if (trial := _trial(config)) is None:
        return
    pairs = [(r.files[i], r.sizes[i]) for r in requests for i in np.flatnonzero(~r.special)]
    failed = trial([file for file, _ in pairs], np.array([size for _, size in pairs]))
    if failed:
        broken = [(pairs[i][0], "Pillow can, and did at the start") for i in failed]
        raise ValueError(
            f"images must be what DALI can decode, got {len(broken)} that it cannot:\n"
            f"{listed(broken)}\ndelete data/scan.safetensors in the run folder and run the same "
            "command again: every file is tried anew, and Pillow decodes these"
        ) from because


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
    scan, broken = scan_files(
        files, root=root, known=known, workers=config.workers, say=say, trial=_trial(config)
    )
    if config.broken == "refuse":
        refuse(broken, root=root, repair=SKIP)
    say_left_out(broken)
    lost = {file for file, _ in broken}
    whole = np.array([file not in lost for file in files])
    count = int(whole[: len(rows)].sum())
    check_left(labels[whole][:count], labels[whole][count:], classes=found.classes, root=root)
    config = replace(config, image_size=settled_size(scan.sizes(config), config))
    everything = FileSplit(
        tuple(file for file in files if file not in lost),
        scan.sizes(config),
        scan.stamps,
        special(scan, config),
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
    _say_special(scan, config, say)
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


def _trial(config: DataConfig) -> Trial | None:
    """Return what tries the files that Pillow reads with DALI, where that is the backend."""
    if config.backend != "dali":
        return None
    trial: Trial = partial(reader(config).undecodable, config=config)
    return trial


def special(scan: Scan, config: DataConfig) -> NDArray[np.bool_]:
    """Tell which files Pillow makes plain pixels of: those that DALI would show otherwise ``[n]``.

    Of the others both decode the same pixels.
    """
    beyond = scan.beyond() if config.backend == "dali" else False
    return scan.turned(config) | scan.composed(config) | beyond


def _say_special(scan: Scan, config: DataConfig, say: Say) -> None:
    """Tell how many images are turned, laid upon the background, or beyond DALI."""
    for rows, words in (
        (scan.turned(config), "set upright as their orientation tags say"),
        (scan.composed(config), f"laid upon the background {config.background}"),
        (scan.beyond() & (config.backend == "dali"), "decoded by Pillow, since DALI cannot"),
    ):
        if rows.any():
            first = scan.names[int(rows.argmax())]
            say(f"{int(rows.sum()):,} images are {words} ({first} is the first)")


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
    if scan.turned(everything.config).any():
        digest.update(b"upright")
    if scan.composed(everything.config).any():
        digest.update(repr(everything.config.background).encode())
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
        lambda file: cut(request, places[file], split.config),
        request.files,
        workers=split.config.workers,
    )
    refuse(broken, root=root)
    refuse_rewritten(request, split.config)
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
