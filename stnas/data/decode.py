"""Decode image files into one array, and find the broken ones before anything is trained."""

import logging
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from stnas.config.data import DataConfig
from stnas.data.dataset import check_bytes
from stnas.data.proposal import advice, settled_size
from stnas.data.showing import shown, shown_size
from stnas.data.source import Pixels
from stnas.store.advice import of_the_machine
from stnas.store.places import kind_of

FORMATS = {"PNG": "PNG", "JPEG": "JPEG", "BMP": "BMP", "WEBP": "WebP", "GIF": "GIF"}
"""Formats that are read, by Pillow's names, and what people call them."""
GREY = ("1", "L", "LA")
"""Modes of Pillow without colour."""
_COLOUR = ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr")
_LOG = logging.getLogger(__name__)
_MAX_PIXELS = 2**26
_SHOWN = 20
SKIP = " (or leave them out: --data.broken skip)"
"""What may be done about broken files instead of repairing them."""
Header = tuple[int, int, str]
Result = TypeVar("Result")


def decode(files: Sequence[Path], *, root: Path, config: DataConfig) -> Tensor:
    """Return the images of ``files`` as uint8 ``[N, C, H, W]``; C is 1 if all are grey, else 3.

    Of a GIF the first frame counts. ValueError: broken files (all of them are listed), images of
    different sizes without ``image_size``, or more than 4 GiB of pixels.
    """
    headers, broken = each(lambda file: _probe(file, config), files)
    refuse(broken, root=root, repair=SKIP)
    channels = 1 if all(header[2] in GREY for header in headers) else 3
    width, height, size = _shape(files, headers, root=root, config=config)
    check_bytes(len(files), channels=channels, height=height, width=width, origin=root)
    images: Pixels = np.empty((len(files), height, width, channels), dtype=np.uint8)
    rows = {file: row for row, file in enumerate(files)}

    def fill(file: Path) -> None:
        images[rows[file]] = _pixels(file, size, channels=channels, config=config)

    _, broken = each(fill, files)
    refuse(broken, root=root, repair=SKIP)
    if channels == 1:
        return torch.from_numpy(images.reshape(len(files), 1, height, width))
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def unreadable(files: Sequence[Path], *, config: DataConfig) -> list[tuple[Path, str]]:
    """Decode every file, and return those that are broken with the reasons."""

    def attempt(file: Path) -> None:
        _probe(file, config)
        _pixels(file, None, channels=3, config=config)

    return each(attempt, files)[1]


def each(
    work: Callable[[Path], Result], files: Sequence[Path], *, workers: int | None = None
) -> tuple[list[Result], list[tuple[Path, str]]]:
    """Do ``work`` on every file in threads; return the results and the files that failed."""

    def attempt(file: Path) -> tuple[Result | None, str]:
        try:
            return work(file), ""
        except Exception as error:  # A decoder raises many kinds, most of which mean: broken.
            if of_the_machine(error):
                raise
            return None, str(error) or type(error).__name__

    with ThreadPoolExecutor(max_workers=workers or min(16, os.cpu_count() or 1)) as pool:
        done = list(pool.map(attempt, files))
    broken = [(file, reason) for file, (_, reason) in zip(files, done, strict=True) if reason]
    return [result for result, _ in done if result is not None], broken


def _probe(file: Path, config: DataConfig) -> Header:
    """Return (width, height, mode) of what a file shows; ValueError: not one of our images."""
    with opened(file) as image:
        return (*shown_size(image, config), header(image)[2])


def opened(file: Path | BytesIO, formats: Iterable[str] = FORMATS) -> Image.Image:
    """Open an image file, whose pixels are not read yet; ValueError: it is in no such format."""
    if isinstance(file, Path):
        found = file.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for
            raise ValueError(f"it is no file but {kind_of(found.st_mode)}")
        if found.st_size == 0:
            raise ValueError("the file is empty")
    try:
        return Image.open(file, formats=tuple(formats))
    except UnidentifiedImageError:
        *most, last = (FORMATS[name] for name in formats)
        raise ValueError(f"not a {', '.join(most)} or {last} image") from None


def header(image: Image.Image) -> Header:
    """Return (width, height, mode) of an image; ValueError: too large or not of 8 bits."""
    width, height = image.size
    if width * height > _MAX_PIXELS:
        raise ValueError(f"{width}x{height} pixels, more than {_MAX_PIXELS}")
    if image.mode not in GREY + _COLOUR:
        raise ValueError(f"mode {image.mode}, not 8 bits a channel")
    return width, height, image.mode


def _shape(
    files: Sequence[Path], headers: Sequence[Header], *, root: Path, config: DataConfig
) -> tuple[int, int, int | None]:
    """Return (width, height) of the decoded images, and the size that they are scaled to, if any.

    ValueError: a mixture that nothing settles.
    """
    sizes = np.array([[height, width] for width, height, _ in headers], dtype=np.int64)
    if (size := settled_size(sizes, config)) is not None:
        return size, size, size
    first = headers[0][:2]
    for file, header in zip(files, headers, strict=True):
        if header[:2] != first:
            raise ValueError(
                f"{root}: images must have one size, got {first[0]}x{first[1]} in {files[0]} and "
                f"{header[0]}x{header[1]} in {file}: {advice(sizes)}"
            )
    if first[0] != first[1]:
        raise ValueError(
            f"{root}: images must be square, got {first[0]}x{first[1]} in {files[0]}: "
            f"set --data.image_size {min(first)} to cut out the centre"
        )
    return (*first, None)


def _pixels(file: Path, size: int | None, *, channels: int, config: DataConfig) -> Pixels:
    """Decode one file to ``[H, W, channels]``, scaled and centre-cropped to ``size`` if given."""
    mode = "L" if channels == 1 else "RGB"
    with opened(file) as whole:
        if size is not None:
            whole.draft(mode, (2 * size, 2 * size))
        image = shown(whole, mode, config)
    if size is not None:
        image = square(image, size)
    return np.asarray(image).reshape(image.height, image.width, channels)


def square(image: Image.Image, size: int) -> Image.Image:
    """Scale the shorter side to ``size`` (bilinear, antialiased) and cut out the centre square."""
    scale = size / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    box = (left / scale, top / scale)
    end = (min(image.width, box[0] + size / scale), min(image.height, box[1] + size / scale))
    return image.resize((size, size), Image.Resampling.BILINEAR, box=(*box, *end))


def refuse(broken: Sequence[tuple[Path, str]], *, root: Path, repair: str = "") -> None:
    """Raise one error that lists the broken files, if there are any."""
    if broken:
        raise ValueError(
            f"{root}: every image must be readable, got {len(broken)} broken:\n"
            f"{listed(broken, root=root)}\nreplace or delete these files{repair} and start again"
        )


def say_left_out(broken: Sequence[tuple[Path, str]]) -> None:
    """List files that are left out in the log."""
    for file, reason in broken:
        _LOG.warning("left out: %s: %s", file, reason)


def listed(broken: Sequence[tuple[Path, str]], *, root: Path | None = None) -> str:
    """Write a line for each of the first broken files, and how many more there are.

    root: what their paths are shown below; None: as they are.
    """
    lines = [
        f"  {file if root is None else file.relative_to(root)}: {reason}"
        for file, reason in broken[:_SHOWN]
    ]
    if len(broken) > _SHOWN:
        lines.append(f"  and {len(broken) - _SHOWN} more")
    return "\n".join(lines)
