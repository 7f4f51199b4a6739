"""Read labelled images from one .npz file, without pickles and within bounds."""

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from stnas.config.data import DataConfig
from stnas.data.dataset import MAX_BYTES
from stnas.data.order import Indices
from stnas.data.source import Pixels, Source, array_source
from stnas.store.advice import of_the_machine

_NAMES = (
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
)


def npz_source(path: Path, *, config: DataConfig) -> Source:
    """Read ``train_images, train_labels, test_images, test_labels`` (or ``x_train, ...``).

    Images: uint8 ``[N, H, W]``, ``[N, H, W, C]`` or ``[N, C, H, W]`` with 1 or 3 channels; where
    both ends of a shape could be the channels, the last axis is. Labels: integers 0..K-1, ``[N]``
    or ``[N, 1]``. Optional: ``classes``, the K names as a string array. ValueError: the file breaks
    one of these rules.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = _read_all(archive, path)
    except (
        zipfile.BadZipFile,
        OSError,
        EOFError,
        zlib.error,
        NotImplementedError,
        MemoryError,
        RuntimeError,
    ) as error:
        if of_the_machine(error):
            raise
        raise ValueError(
            f"{path}: cannot be read as .npz ({error}): write it with numpy.savez_compressed"
        ) from error
    keys = next(keys for keys in _NAMES if keys[0] in arrays)
    names = arrays.get("classes")
    return array_source(
        origin=str(path),
        name=path.stem,
        config=config,
        classes=None if names is None else tuple(str(name) for name in names.reshape(-1)),
        train=(_images(arrays, keys[0], path), _labels(arrays, keys[1], path)),
        test=(_images(arrays, keys[2], path), _labels(arrays, keys[3], path)),
    )


def _read_all(archive: zipfile.ZipFile, path: Path) -> dict[str, NDArray[Any]]:
    """Read the wanted members; their sizes are added up before anything is decompressed."""
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    keys = next((keys for keys in _NAMES if all(key in members for key in keys)), None)
    if keys is None:
        raise ValueError(
            f"{path}: the arrays {', '.join(_NAMES[0])} (or {', '.join(_NAMES[1])}) "
            f"must be there, got {sorted(members)[:8]}: save them under these names"
        )
    wanted = {key: members[key] for key in (*keys, "classes") if key in members}
    size = sum(info.file_size for info in wanted.values())
    if size > MAX_BYTES:
        raise ValueError(
            f"{path}: the arrays must have at most {MAX_BYTES} bytes, got {size}: "
            "save smaller or fewer images"
        )
    return {key: _read(archive, info, f"{path}: {key}") for key, info in wanted.items()}


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, label: str) -> NDArray[Any]:
    """Read one array; its header must promise exactly the bytes that the archive holds."""
    with archive.open(info) as file:
        try:
            version = npy.read_magic(file)
            header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = header(file)
        except ValueError as error:
            raise ValueError(
                f"{label} must be an array in .npy format, got a broken header "
                f"({error}): write it with numpy.savez_compressed"
            ) from error
        if dtype.hasobject or dtype.kind not in "uiU":
            raise ValueError(
                f"{label} must hold integers (class names: strings), got {dtype}: "
                f"{_conversion(label, dtype)}; pickled objects are never read"
            )
        size = math.prod(shape) * dtype.itemsize
        if size != info.file_size - file.tell():
            raise ValueError(
                f"{label} must have the {size} bytes of its shape {list(shape)}, got "
                f"{info.file_size - file.tell()}: save the file again"
            )
        data = np.frombuffer(file.read(size), dtype=dtype)
    return data.reshape(shape, order="F" if fortran else "C")


def _conversion(label: str, dtype: np.dtype[Any]) -> str:
    """Say how an array of a kind that is not read becomes one that is, keeping what it shows."""
    pictures = label.endswith(tuple(keys[i] for keys in _NAMES for i in (0, 2)))
    if not pictures:
        return "save class numbers 0..K-1 with .astype('int64'), class names as strings"
    if dtype.kind == "f":
        return "scale pictures in [0, 1] to 0..255: save (255 * x).round().astype('uint8')"
    return "save pictures of 0..255 with .astype('uint8')"


def _images(arrays: dict[str, NDArray[Any]], key: str, path: Path) -> Pixels:
    """Return images as uint8 ``[N, C, H, W]``."""
    images = arrays[key]
    if images.dtype != np.uint8:
        raise ValueError(
            f"{path}: {key} must be uint8, got {images.dtype}: scale to 0..255"
            f"{' with x // 257' * (images.dtype == np.uint16)} and convert with .astype('uint8')"
        )
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and images.shape[3] in (1, 3):
        return images.transpose(0, 3, 1, 2)
    if images.ndim == 4 and images.shape[1] in (1, 3):
        return images
    repair = "save x[..., :3]" if images.ndim == 4 and images.shape[3] == 4 else "reshape it"
    raise ValueError(
        f"{path}: {key} must have the shape [N, H, W], [N, H, W, C] or [N, C, H, W] "
        f"with 1 or 3 channels, got {list(images.shape)}: {repair}"
    )


def _labels(arrays: dict[str, NDArray[Any]], key: str, path: Path) -> Indices:
    """Return labels as int64 ``[N]``."""
    labels = arrays[key]
    flat = labels.ndim == 1 or (labels.ndim == 2 and labels.shape[1] == 1)
    if labels.dtype.kind not in "ui" or not flat:
        raise ValueError(
            f"{path}: {key} must be integers of the shape [N], got {labels.dtype} "
            f"{list(labels.shape)}: save the class numbers 0..K-1"
            + " (of one-hot rows y.argmax(1))"
            * (labels.ndim == 2 and labels.dtype.kind in "ui")
        )
    if labels.size and labels.dtype == np.uint64 and labels.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{path}: {key} must be 0..K-1, got {labels.max()}: renumber the classes")
    return labels.reshape(-1).astype(np.int64)
