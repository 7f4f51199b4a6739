"""Choose the window of an image that a network sees: ``(top, left, bottom, right)`` in pixels."""

import math

import numpy as np
from numpy.typing import NDArray

Windows = NDArray[np.float32]
ATTEMPTS = 10
NUMBERS = 2 * ATTEMPTS + 2
"""Uniform numbers that a random window takes."""
_RATIO = (3 / 4, 4 / 3)


def random_windows(
    sizes: NDArray[np.int64], numbers: NDArray[np.float64], *, scale: tuple[float, float]
) -> Windows:
    """Draw a window for each image: area share in ``scale``, width over height in [3/4, 4/3].

    sizes: (height, width) ``[n, 2]``. numbers: uniform in [0, 1) ``[n, NUMBERS]``. The first of ten
    draws of (area, log ratio) that fits is taken, then its place; if none fits, the greatest centre
    window whose ratio is allowed. Corners are whole numbers. Source: Szegedy et al., Going deeper
    with convolutions (CVPR 2015), in the form that torchvision gave it.
    """
    height, width = sizes[:, :1], sizes[:, 1:]
    area = height * width * (scale[0] + (scale[1] - scale[0]) * numbers[:, :ATTEMPTS])
    low, high = (math.log(bound) for bound in _RATIO)
    ratio = np.exp(low + (high - low) * numbers[:, ATTEMPTS : 2 * ATTEMPTS])
    wide, tall = np.rint(np.sqrt(area * ratio)), np.rint(np.sqrt(area / ratio))
    fits = (wide >= 1) & (wide <= width) & (tall >= 1) & (tall <= height)
    first = fits.argmax(axis=1)[:, None]
    centre_tall, centre_wide = _centre(height, width)
    none = ~fits.any(axis=1, keepdims=True)
    tall = np.where(none, centre_tall, np.take_along_axis(tall, first, axis=1))
    wide = np.where(none, centre_wide, np.take_along_axis(wide, first, axis=1))
    place = np.where(none, 0.5, numbers[:, 2 * ATTEMPTS :])
    top = np.floor(place[:, :1] * (height - tall + 1))
    left = np.floor(place[:, 1:] * (width - wide + 1))
    return np.hstack((top, left, top + tall, left + wide)).astype(np.float32)


def centre_windows(sizes: NDArray[np.int64], *, resize: int, image_size: int) -> Windows:
    """Return the centre square of each image that becomes ``image_size`` pixels a side where the
    shorter side becomes ``resize``: its side is ``image_size / resize`` of the shorter side.

    sizes: (height, width) ``[n, 2]``. Corners need not be whole numbers.
    """
    side = sizes.min(axis=1, keepdims=True) * (image_size / resize)
    corner = (sizes - side) / 2
    return np.hstack((corner, corner + side)).astype(np.float32)


def _centre(
    height: NDArray[np.int64], width: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (height, width) of the greatest window whose ratio lies in [3/4, 4/3]."""
    wide = np.minimum(width, np.maximum(1, np.rint(height * _RATIO[1])))
    tall = np.minimum(height, np.maximum(1, np.rint(width / _RATIO[0])))
    return tall, wide
