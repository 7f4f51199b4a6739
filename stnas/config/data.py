"""Name the images and how they are augmented: the section ``data`` of a configuration."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class DataConfig:
    """Choose the data set, its splits and its augmentation."""

    path: str = "auto"
    """``auto``: the full Fashion-MNIST of the Debian package ``dataset-fashion-mnist`` if it is
    installed, else the embedded subset. ``embedded``: the embedded subset (12,000 training and
    3,000 test images). Otherwise a folder of IDX files, an ``.npz`` file, or a folder with one
    folder of images for each class (``train/<class>/*`` and ``test/<class>/*``, or
    ``<class>/*``)."""

    validation: float = 0.1
    """Share of each class's training images that is held out to compare architectures."""

    train_limit: int | None = None
    """Use only so many training images (validation included), as equally many of each class as
    the classes allow; None: all."""

    test_limit: int | None = None
    """Use only so many test images, as equally many of each class as the classes allow; None:
    all."""

    image_size: int | None = None
    """Resize the shorter side of every image to this many pixels and cut out the centre square;
    None: take the images as they are (all must have one size)."""

    crop_padding: int = 4
    """Pad a training image with so many black pixels on each side and cut a random window of its
    own size out of it; 0: no cropping."""

    flip: bool = True
    """Mirror a training image left to right with probability 1/2."""

    jitter: float = 0.0
    """Strength s of the colour jitter: brightness, contrast and (of colour images) saturation of
    a training image are scaled by factors drawn uniformly from [1 - s, 1 + s]; 0: off."""

    def __post_init__(self) -> None:
        """Refuse values outside their range; TypeError for the wrong kind of value."""
        if not isinstance(self.path, str):
            raise TypeError(
                f"data.path must be a string, got {self.path!r}: give auto, embedded or a path"
            )
        if not self.path.strip():
            raise ValueError("data.path must not be empty, got '': give auto, embedded or a path")
        if not isinstance(self.flip, bool):
            raise TypeError(f"data.flip must be true or false, got {self.flip!r}")
        _check_share("validation", self.validation, repair="0.1 holds out 10 %")
        _check_jitter(self.jitter)
        _check_count("train_limit", self.train_limit, least=4, optional=True)
        _check_count("test_limit", self.test_limit, least=1, optional=True)
        _check_count("image_size", self.image_size, least=4, most=1024, optional=True)
        _check_count("crop_padding", self.crop_padding, least=0, most=256)
        if self.image_size is not None and self.crop_padding > self.image_size:
            raise ValueError(
                f"data.crop_padding must not exceed data.image_size = {self.image_size}, got "
                f"{self.crop_padding}: windows of padding alone would be cut; an eighth is usual"
            )


def _check_number(name: str, value: object) -> float:
    """Return the finite number ``value``; TypeError if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"data.{name} must be a number, got {value!r}")
    return float(value)


def _check_share(name: str, value: float, *, repair: str) -> None:
    """Refuse a share outside the open interval (0, 1)."""
    if not 0.0 < _check_number(name, value) < 1.0:
        raise ValueError(f"data.{name} must lie in (0, 1), got {value!r}: {repair}")


def _check_jitter(value: float) -> None:
    """Refuse a strength outside [0, 1), where a factor could become zero or negative."""
    number = _check_number("jitter", value)
    if not (math.isfinite(number) and 0.0 <= number < 1.0):
        raise ValueError(
            f"data.jitter must lie in [0, 1), got {value!r}: 0 turns it off, 0.4 is strong"
        )


def _check_count(
    name: str, value: int | None, *, least: int, most: int = 2**31 - 1, optional: bool = False
) -> None:
    """Refuse a count that is no integer in [least, most]; None passes where ``optional``."""
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"data.{name} must be an integer{' or null' * optional}, got {value!r}")
    if not least <= value <= most:
        repair = "leave it out to use everything" if optional else f"{least} turns it off"
        raise ValueError(f"data.{name} must lie in [{least}, {most}], got {value}: {repair}")
