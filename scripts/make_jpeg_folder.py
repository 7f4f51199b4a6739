"""Write a folder of JPEG photographs in ImageNet's layout, to rehearse and to measure with.

    python scripts/make_jpeg_folder.py FOLDER --classes 10 --train 60 --test 20

Each image is one of Fashion-MNIST's, in two colours of its class, enlarged to the sizes that
ImageNet's images have, with fine grain, so that a JPEG takes about as many bytes (quality 90). The
same arguments write the same folder.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from stnas.config import DataConfig
from stnas.data import Split, load


def photograph(grey: np.ndarray, label: int, rng: np.random.Generator) -> Image.Image:
    """Enlarge a grey image ``[28, 28]`` to a coloured one of 300 to 500 pixels a side."""
    width, height = (int(side) for side in rng.integers(300, 501, 2))
    tones = np.random.default_rng(label).integers(0, 256, (2, 3))
    share = grey[:, :, None] / 255
    pixels = (tones[0] * (1 - share) + tones[1] * share).astype(np.uint8)
    large = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
    grain = rng.integers(-12, 13, (height, width, 1))
    return Image.fromarray((np.asarray(large) + grain).clip(0, 255).astype(np.uint8))


def write(split: Split, folder: Path, *, classes: int, count: int, seed: int) -> None:
    """Write ``count`` images of each class, ``n00, n01, ...``."""
    for label in range(classes):
        rng = np.random.default_rng([seed, label])
        rows = np.flatnonzero(split.labels.numpy() % 10 == label % 10)
        place = folder / f"n{label:02d}"
        place.mkdir(parents=True, exist_ok=True)
        for number, row in enumerate(rng.choice(rows, count)):
            image = photograph(split.images[row, 0].numpy(), label, rng)
            image.save(place / f"{number:05d}.jpg", quality=90)


def main() -> None:
    """Write ``FOLDER/train`` and ``FOLDER/val``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--train", type=int, default=60, help="training images a class")
    parser.add_argument("--test", type=int, default=20, help="test images a class")
    words = parser.parse_args()
    data = load(DataConfig(path="embedded"), seed=0)
    assert isinstance(data.train, Split)
    assert isinstance(data.test, Split)
    write(data.train, words.folder / "train", classes=words.classes, count=words.train, seed=0)
    write(data.test, words.folder / "val", classes=words.classes, count=words.test, seed=1)


if __name__ == "__main__":
    main()
