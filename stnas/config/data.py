"""Name the images and how they are augmented: the section ``data`` of a configuration."""

import math
from dataclasses import dataclass, fields
from typing import Literal, get_args

from stnas.config import rules

Backend = Literal["memory", "auto", "dali", "pillow"]
Decoder = Literal["cpu", "mixed"]
Broken = Literal["refuse", "skip"]
Orientation = Literal["apply", "ignore"]
Balance = Literal["none", "weights", "resampling"]
_STREAMED = ("decoder", "resize", "crop_scale", "workers")
_LARGE_SCALE = (0.08, 1.0)
"""Shares for 224 pixels and more; runs in memory may have it on record."""


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

    split_seed: int | None = None
    """Seed of the choice of the images that are held out; None: the run's seed. Runs with several
    seeds that are to be compared need the same one."""

    train_limit: int | None = None
    """Use only so many training images (validation included), as equally many of each class as
    the classes allow; None: all."""

    test_limit: int | None = None
    """Use only so many test images, as equally many of each class as the classes allow; None:
    all."""

    image_size: int | Literal["auto"] | None = None
    """Resize the shorter side of every image to this many pixels and cut out the centre square;
    None: take the images as they are (all must have one size); `auto`: the same, and of images of
    several sizes a size that fits them, a multiple of 8 up to 64. Streamed images need a number or
    `auto`: it is the side of what a network sees."""

    backend: Backend = "memory"
    """Where the images are kept and what decodes them. `memory`: all are decoded before the start.
    The others stream a folder that is too big for that and cut the training windows out of the
    whole images: `dali` (NVIDIA DALI), `pillow`, or `auto`: DALI if it is installed, else Pillow.
    The pixels differ a little, so that a run keeps the one that it began with."""

    decoder: Decoder = "cpu"
    """Where DALI decodes and scales: on the processor (`cpu`) or on the GPU (`mixed`)."""

    resize: int | None = None
    """Length in pixels that the shorter side of a streamed evaluation image is scaled to, before
    the centre square of image_size is cut out; None: 8/7 of image_size, 256 for 224."""

    crop_scale: tuple[float, float] | None = None
    """Least and greatest share of a streamed image's area that a random training window covers;
    its sides are in a ratio of 3/4 to 4/3. The window is scaled to image_size. None: 0.08 to 1 from
    224 pixels on; below, the least share is 18 / image_size, at most 0.6."""

    workers: int | None = None
    """Threads that decode streamed images; None: one a processor."""

    broken: Broken = "refuse"
    """What is done about files of a folder that are no images of 8 bits a channel or cannot be
    read, which are looked for before the start: `refuse` stops with a list of them, `skip` leaves
    them out and lists them in the log."""

    background: tuple[int, int, int] | None = (255, 255, 255)
    """Colour (red, green, blue, 0 to 255) behind the transparent pixels of image files; None: their
    hidden colours are taken, whatever they are."""

    orientation: Orientation = "apply"
    """Whether image files are turned and mirrored as the orientation tag in them says: `apply`,
    or `ignore`."""

    balance: Balance = "none"
    """What is done, in training and retraining, about classes of unequal size: `none`; `weights`:
    the loss of an image counts N / (K n), where n of the N training images are of its class and K
    is the number of classes; `resampling`: an epoch of N images has equally many of each class,
    those of a small class again and again, of a large one others in each epoch."""

    crop_padding: int | float = 0.125
    """Pad a training image in memory with so many black pixels on each side and cut a random
    window of its own size out of it: a number of pixels, or a share below 1 of the image's side, as
    an eighth, which is 4 pixels of 32; 0: no cropping."""

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
        _check_count("split_seed", self.split_seed, least=0, most=2**63 - 1, optional=True)
        _check_count("train_limit", self.train_limit, least=4, optional=True)
        _check_count("test_limit", self.test_limit, least=1, optional=True)
        if self.image_size != "auto":
            _check_count("image_size", self.image_size, least=4, most=1024, optional=True)
        if not isinstance(self.crop_padding, float):
            _check_count("crop_padding", self.crop_padding, least=0, most=256)
        elif not 0.0 <= self.crop_padding < 1.0:
            raise ValueError(
                f"data.crop_padding must be a whole number of pixels or a share in [0, 1), got "
                f"{self.crop_padding!r}: 0.125 is an eighth of the side"
            )
        if isinstance(self.image_size, int) and self.crop_padding > self.image_size:
            raise ValueError(
                f"data.crop_padding must not exceed data.image_size = {self.image_size}, got "
                f"{self.crop_padding}: windows of padding alone would be cut; an eighth is usual"
            )
        for name, kind in (
            ("backend", Backend),
            ("decoder", Decoder),
            ("broken", Broken),
            ("orientation", Orientation),
            ("balance", Balance),
        ):
            rules.one_of(f"data.{name}", getattr(self, name), get_args(kind))
        _check_count("workers", self.workers, least=1, most=1024, optional=True)
        _check_scale(self.crop_scale)
        _check_colour(self.background)
        self._check_streaming()

    @property
    def streamed(self) -> bool:
        """Tell whether the images are read while a run works, not before."""
        return self.backend != "memory"

    def padding(self, size: int) -> int:
        """Return the pixels that an image of so many a side is padded with; halves round up."""
        share = self.crop_padding
        return math.floor(share * size + 0.5) if isinstance(share, float) else share

    def shorter_side(self, size: int) -> int:
        """Return what the shorter side of an image is scaled to before so many pixels are cut."""
        return (self.resize or round(size * 8 / 7)) if self.streamed else size

    def window_scale(self, size: int) -> tuple[float, float]:
        """Return the shares of the area that random windows cover which become so many pixels."""
        least, most = _LARGE_SCALE
        return self.crop_scale or (min(max(least, least * (224 / size)), 0.6), most)

    def _check_streaming(self) -> None:
        """Refuse options of streaming without it, and streaming without a size."""
        if not self.streamed:
            for field in fields(self):
                value = getattr(self, field.name)
                if field.name in _STREAMED and value not in (field.default, _LARGE_SCALE):
                    raise ValueError(
                        f"data.{field.name} must be left out with data.backend memory, got "
                        f"{value!r}: it is for streamed folders; set data.backend auto"
                    )
            return
        if self.image_size is None:
            raise ValueError(
                f"data.image_size must be given with data.backend {self.backend}, got None: "
                "set --data.image_size 224 or the size that the networks are for, or auto"
            )
        least = 4 if self.image_size == "auto" else self.image_size
        _check_count("resize", self.resize, least=least, most=2048, optional=True)
        if self.decoder == "mixed" and self.backend == "pillow":
            raise ValueError(
                "data.decoder must be cpu with data.backend pillow, got 'mixed': set "
                "data.backend dali"
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


def _check_scale(value: tuple[float, float] | None) -> None:
    """Refuse shares of the area that are not 0 < least <= greatest <= 1."""
    if value is not None and (
        len(value) != 2
        or not 0.0
        < _check_number("crop_scale", value[0])
        <= _check_number("crop_scale", value[1])
        <= 1.0
    ):
        raise ValueError(
            "data.crop_scale must be two shares with 0 < least <= greatest <= 1, got "
            f"{value!r}: 0.08 and 1 are usual"
        )


def _check_colour(value: tuple[int, int, int] | None) -> None:
    """Refuse a colour that is not three integers in [0, 255]."""
    if value is not None and not (
        isinstance(value, tuple)
        and len(value) == 3
        and all(isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= 255 for v in value)
    ):
        raise ValueError(
            "data.background must be red, green and blue in 0 to 255, or null, got "
            f"{value!r}: [255,255,255] is white, [0,0,0] black"
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
