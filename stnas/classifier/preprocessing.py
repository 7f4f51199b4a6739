"""From an image, wherever it comes from, to what a network takes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stnas.config import DataConfig
from stnas.config.data import Orientation
from stnas.data.decode import header, opened, square
from stnas.data.showing import shown
from stnas.data.windows import centre_windows
from stnas.ops.images import normalise
from stnas.store.advice import of_the_machine

LAYOUTS = (1, 3, 4)
"""Channels that pixels may have: grey, colour, colour and opacity."""


@dataclass(frozen=True)
class Preprocessing:
    """How images become tensors, as the images that a network was trained on did.

    Upright and laid upon the background; the shorter side scaled to ``resize`` pixels (bilinear,
    antialiased) and the centre square of ``image_size`` cut out; ``(pixels / 255 - mean) / std``.
    """

    image_size: int
    in_channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int
    background: tuple[int, int, int] | None = (255, 255, 255)
    orientation: Orientation = "apply"

    def __call__(self, images: object) -> Tensor:
        """Return images as float32 ``[N, C, S, S]``; ``pixels`` says what they may be."""
        return normalise(self.pixels(images), mean=self.mean, std=self.std)

    def pixels(self, images: object) -> Tensor:
        """Return images as uint8 ``[N, C, S, S]``, scaled and cut but not normalised.

        images: one, or several, of: names of files, Pillow images, uint8 arrays ``[H, W]`` or
        ``[H, W, C]``, uint8 tensors ``[C, H, W]``; or an array or a tensor of many.
        """
        found = [self._whole(image, row) for row, image in enumerate(each_image(images))]
        if not found:
            raise ValueError("images must be one image or more, got none: name a file")
        return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).contiguous()

    def _whole(self, image: Image.Image, row: int) -> Any:
        try:
            return self._cut(image)
        except (OSError, ValueError, SyntaxError) as error:
            if of_the_machine(error):
                raise
            raise unreadable(getattr(image, "filename", "") or f"image {row}", error) from error

    def _cut(self, image: Image.Image) -> Any:
        header(image)
        size, mode = self.image_size, "L" if self.in_channels == 1 else "RGB"
        data = DataConfig(background=self.background, orientation=self.orientation)
        if self.resize == size:
            image.draft(mode, (2 * size, 2 * size))
            cut = square(shown(image, mode, data), size)
        else:
            whole = shown(image, mode, data)
            sizes = np.array([[whole.height, whole.width]])
            top, left, bottom, right = centre_windows(sizes, resize=self.resize, image_size=size)[0]
            box = (float(left), float(top), float(right), float(bottom))
            cut = whole.resize((size, size), Image.Resampling.BILINEAR, box=box)
        return np.asarray(cut).reshape(size, size, self.in_channels)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Preprocessing":
        """Make it of what ``to_json`` gave."""
        known = {field.name for field in fields(cls)}
        if later := sorted(found.keys() - known):
            raise ValueError(
                f"preprocessing must be of keys that this stnas knows, got {', '.join(later)} of a "
                "later release: upgrade stnas"
            )
        lists = {name: value for name, value in found.items() if isinstance(value, list | tuple)}
        return cls(**{**found, **{name: tuple(value) for name, value in lists.items()}})

    @classmethod
    def of(
        cls,
        data: DataConfig,
        *,
        image_size: int,
        in_channels: int,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> "Preprocessing":
        """Return how a run evaluates its images."""
        return cls(
            image_size=image_size,
            in_channels=in_channels,
            mean=tuple(mean),
            std=tuple(std),
            resize=data.shorter_side(image_size),
            background=data.background,
            orientation=data.orientation,
        )


def each_image(images: object) -> Iterator[Image.Image]:
    """Open every image of one or several, named, opened or given by its pixels."""
    if isinstance(images, str | Path):
        yield from _of_file(Path(images))
    elif isinstance(images, Image.Image):
        yield images
    elif isinstance(images, Tensor):
        many = images if images.ndim == 4 else images[None]
        if many.ndim != 4:
            raise ValueError(
                f"images must be tensors [C, H, W] or [N, C, H, W], got {list(images.shape)}: "
                "add or drop an axis"
            )
        yield from map(_of_array, many.permute(0, 2, 3, 1).cpu().numpy())
    elif isinstance(images, np.ndarray):
        yield from map(_of_array, images if _is_batch(images) else images[None])
    elif isinstance(images, Sequence):
        for image in images:
            yield from each_image(image)
    else:
        raise TypeError(
            "images must be names of files, Pillow images, arrays or tensors, got "
            f"{type(images).__name__}: open it with PIL.Image.open"
        )


def _of_file(file: Path) -> Iterator[Image.Image]:
    try:
        image = opened(file)
    except (OSError, ValueError) as error:
        if of_the_machine(error):
            raise
        raise unreadable(file, error) from error
    with image:
        yield image


def unreadable(name: object, error: Exception) -> ValueError:
    """Make the error for an image that cannot be read."""
    return ValueError(
        f"images must be files that can be read, got {name} ({error}): replace it or leave it out"
    )


def _is_batch(array: Any) -> bool:
    """Tell whether an array holds many: ``[N, H, W, C]``, or ``[N, H, W]`` of grey ones."""
    return array.ndim == 4 or (array.ndim == 3 and array.shape[-1] not in LAYOUTS)


def _of_array(pixels: Any) -> Image.Image:
    if pixels.dtype != np.uint8:
        raise TypeError(
            f"images must be of uint8, got {pixels.dtype}: multiply by 255 and convert them, or "
            "give tensors that are normalised already to the module itself"
        )
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[-1] not in LAYOUTS):
        raise ValueError(
            "images must be [H, W] or [H, W, C] with 1, 3 or 4 channels, got "
            f"{list(pixels.shape)}: transpose them"
        )
    return Image.fromarray(np.ascontiguousarray(pixels))
