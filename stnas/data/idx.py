"""Read IDX files, the format of MNIST and its relatives.

Source: LeCun, Cortes and Burges, The MNIST database, section "The IDX file format".
"""

import gzip
import lzma
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from stnas.config.data import DataConfig
from stnas.data.dataset import MAX_BYTES
from stnas.data.order import Indices
from stnas.data.source import Pixels, Source, array_source
from stnas.store.advice import of_the_machine

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_OPEN: dict[str, Callable[..., Any]] = {"": open, ".gz": gzip.open, ".xz": lzma.open}
_UNSIGNED_BYTE = 8


def is_idx_folder(folder: Path) -> bool:
    """Tell whether ``folder`` holds the training images of an IDX data set."""
    return _find(folder, part="train", kind="images", rank=3) is not None


def idx_source(folder: Path, *, name: str, config: DataConfig) -> Source:
    """Read the four files ``{train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz|.xz]`` of a folder.

    The classes get the names of Fashion-MNIST where ``name`` contains fashion-mnist, else their
    numbers. ValueError: a file is missing or broken, or the files do not fit together.
    """
    train, test = _read_part(folder, "train"), _read_part(folder, "t10k")
    classes = FASHION_CLASSES if "fashion-mnist" in name.lower() else None
    return array_source(
        origin=str(folder),
        name=name,
        classes=classes,
        train=train,
        test=test,
        config=config,
    )


def read_idx(path: Path, *, rank: int) -> Pixels:
    """Read one IDX file of unsigned bytes with ``rank`` dimensions, plain, gzip or xz.

    Never decompresses more than the header promises, nor more than 4 GiB. ValueError: the header
    is wrong, or the data is shorter or longer than it says.
    """
    suffix = path.suffix if path.suffix in _OPEN else ""
    try:
        with _OPEN[suffix](path, "rb") as file:
            return _parse(file, path=path, rank=rank)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, MemoryError) as error:
        if of_the_machine(error):
            raise
        reason = str(error) or type(error).__name__
        raise ValueError(f"{path}: cannot be read ({reason}): fetch the file again") from error


def _parse(file: BinaryIO, *, path: Path, rank: int) -> Pixels:
    """Read header and data; the field that breaks a rule is named with its value."""
    header = file.read(4 + 4 * rank)
    if len(header) < 4 + 4 * rank:
        raise ValueError(
            f"{path}: the header must have {4 + 4 * rank} bytes, got {len(header)}: "
            "fetch the file again"
        )
    magic = (_UNSIGNED_BYTE << 8) | rank
    found = int.from_bytes(header[:4], "big")
    if found != magic:
        raise ValueError(
            f"{path}: magic must be {magic:#010x} (unsigned bytes, {rank} "
            f"dimensions), got {found:#010x}: give an IDX file of that kind"
        )
    shape = tuple(int.from_bytes(header[4 * i + 4 : 4 * i + 8], "big") for i in range(rank))
    size = math.prod(shape)
    if size > MAX_BYTES:
        raise ValueError(
            f"{path}: dimensions must multiply to at most {MAX_BYTES} bytes, got "
            f"{list(shape)}: split the file"
        )
    data = file.read(size)
    if len(data) < size or file.read(1):
        what = f"only {len(data)}" if len(data) < size else "more"
        raise ValueError(
            f"{path}: dimensions {list(shape)} need {size} bytes of data, got "
            f"{what}: fetch the file again"
        )
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _read_part(folder: Path, part: str) -> tuple[Pixels, Indices]:
    """Return images ``[N, 1, H, W]`` and labels ``[N]`` of ``train`` or ``t10k``."""
    found = []
    for kind, rank in (("images", 3), ("labels", 1)):
        path = _find(folder, part=part, kind=kind, rank=rank)
        if path is None:
            raise ValueError(
                f"{folder}: the file {part}-{kind}-idx{rank}-ubyte (or .gz, .xz) must "
                "be there, got none: copy all four IDX files into the folder"
            )
        found.append(read_idx(path, rank=rank))
    return found[0][:, None], found[1].astype(np.int64)


def _find(folder: Path, *, part: str, kind: str, rank: int) -> Path | None:
    """Return the first spelling of a file's name that exists."""
    names = (f"{part}-{kind}{mark}idx{rank}-ubyte{suffix}" for mark in "-." for suffix in _OPEN)
    return next((folder / name for name in names if (folder / name).is_file()), None)
