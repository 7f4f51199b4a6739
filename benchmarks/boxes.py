"""Pictures of the embedded images on canvases, with their boxes, laid out as COCO.

    python benchmarks/boxes.py FOLDER [--train 400] [--test 200] [--side 96] [--seed 0]

Two to five items of the ten classes lie on a grey canvas with noise, scaled to 18 to 40 pixels a
side and hardly overlapping; a box is the least that holds an item's pixels. Training pictures are
made of training images, test pictures of test images.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from stnas.config import DataConfig
from stnas.data.loading import load

INK = 24
"""Least brightness of a pixel that belongs to an item."""
SIDES = (18, 41)
OVERLAP = 0.1


def draw(folder: Path, *, train: int, test: int, side: int, seed: int) -> None:
    """Write the pictures and their annotations."""
    dataset = load(DataConfig(path="embedded"), seed=0)
    folder.joinpath("annotations").mkdir(parents=True, exist_ok=True)
    for part, split, count in (("train", dataset.train, train), ("val", dataset.test, test)):
        rng = np.random.default_rng([seed, part == "val"])
        (folder / part).mkdir(exist_ok=True)
        found: dict[str, list[Any]] = {"images": [], "annotations": []}
        for number in range(count):
            canvas, boxes = picture(split.images, split.labels, side, rng)
            name = f"{number:05d}.png"
            Image.fromarray(canvas).save(folder / part / name)
            size = {"width": side, "height": side}
            found["images"].append({"id": number + 1, "file_name": name, **size})
            for box, label in boxes:
                own = {"id": len(found["annotations"]) + 1, "image_id": number + 1, "iscrowd": 0}
                own |= {"category_id": label + 1, "bbox": box, "area": box[2] * box[3]}
                found["annotations"].append(own)
        categories = [{"id": n + 1, "name": name} for n, name in enumerate(dataset.classes)]
        text = json.dumps({**found, "categories": categories})
        (folder / "annotations" / f"instances_{part}.json").write_text(text)


def picture(images: Any, labels: Any, side: int, rng: Any) -> tuple[Any, list[tuple[Any, int]]]:
    """Draw one picture uint8 ``[side, side]``; list its boxes (x, y, w, h) with their classes."""
    canvas = rng.normal(40, 12, (side, side)).clip(0, 255)
    boxes: list[tuple[list[int], int]] = []
    for _ in range(int(rng.integers(2, 6))):
        row = int(rng.integers(len(images)))
        size = int(rng.integers(*SIDES))
        whole = Image.fromarray(torch.as_tensor(images[row, 0]).numpy())
        item = np.asarray(whole.resize((size, size), Image.Resampling.BILINEAR))
        if rng.random() < 0.5:
            item = item[:, ::-1]
        left, top = (int(v) for v in rng.integers(0, side - size + 1, 2))
        inked = np.argwhere(item >= INK)
        (y, x), (bottom, right) = inked.min(0), inked.max(0) + 1
        box = [int(v) for v in (left + x, top + y, right - x, bottom - y)]
        if any(shared(box, other) > OVERLAP for other, _ in boxes):
            continue
        place = canvas[top : top + size, left : left + size]
        place[item >= INK] = item[item >= INK]
        boxes.append((box, int(labels[row])))
    return canvas.astype(np.uint8), boxes


def shared(first: list[int], second: list[int]) -> float:
    """Return the share of the smaller of two boxes that lies in the other."""
    widths = [
        min(first[k] + first[k + 2], second[k] + second[k + 2]) - max(first[k], second[k])
        for k in (0, 1)
    ]
    if min(widths) <= 0:
        return 0.0
    return widths[0] * widths[1] / min(first[2] * first[3], second[2] * second[3])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for name, default in (("train", 400), ("test", 200), ("side", 96), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    words = parser.parse_args()
    draw(words.folder, train=words.train, test=words.test, side=words.side, seed=words.seed)
