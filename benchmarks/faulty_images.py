"""The images of small runs: twelve pixels a side in memory, or JPEG photographs of a folder."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_images(path: Path) -> None:
    """Write 12x12 grey images of four classes: noise with one bright quarter."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 100), ("test", 40)):
        labels = np.arange(count) % 4
        images = rng.integers(0, 100, (count, 12, 12))
        for image, label in zip(images, labels, strict=True):
            top, left = 6 * (label // 2), 6 * (label % 2)
            image[top : top + 6, left : left + 6] += 90
        arrays |= {f"{part}_images": images.astype(np.uint8), f"{part}_labels": labels}
    np.savez(path, **arrays)


def write_photographs(root: Path) -> None:
    """Write JPEG images of 24 to 40 pixels a side, of three classes told apart by a colour."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 30), ("val", 8)):
        for label, name in enumerate(("blue", "green", "red")):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 120, (*rng.integers(24, 41, 2), 3))
                pixels[:, :, label] += 100
                image = Image.fromarray(pixels.astype(np.uint8))
                image.save(root / part / name / f"{number}.jpg", quality=90)
