"""Images with boxes, laid out as COCO: read, checked, and handed to torchvision's detectors."""

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stnas.detect.installed import part_of
from stnas.store.advice import of_the_machine

LEAST = 1.0
"""Pixels that a box must be wide and high to be learnt."""
Target = dict[str, Tensor]


class Boxes(NamedTuple):
    """Images of one part with their boxes; coco: pycocotools' index of them.

    rows: the numbers of its images, in order. labels: the classes' numbers there, in order; the
    detector's class i + 1 is labels[i].
    """

    folder: Path
    annotations: Path
    coco: Any
    rows: list[int]
    labels: list[int]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.rows)

    def image(self, place: int, *, channels: int) -> Tensor:
        """Return an image as float32 ``[channels, H, W]`` of 0 to 1; channels: 1 or 3."""
        known = self.coco.imgs[self.rows[place]]
        file = self.folder / known["file_name"]
        try:
            with Image.open(file) as opened:
                pixels = np.asarray(opened.convert("L" if channels == 1 else "RGB"))
        except (OSError, ValueError, SyntaxError) as error:
            if of_the_machine(error):
                raise
            raise ValueError(
                f"coco must hold the images that it lists, got {file}, which cannot be read "
                f"({error}): restore it, or take it out of {self.annotations.name}"
            ) from error
        shape = (known["height"], known["width"])
        if pixels.shape[:2] != shape:
            raise ValueError(
                f"{file} must have the {shape[1]} x {shape[0]} pixels that "
                f"{self.annotations.name} gives, got {pixels.shape[1]} x {pixels.shape[0]}: "
                "correct width and height there, and the boxes"
            )
        own = torch.from_numpy(pixels.reshape(*shape, channels).copy())
        return own.permute(2, 0, 1).float() / 255

    def target(self, place: int) -> Target:
        """Return boxes ``[n, 4]`` as (left, top, right, bottom), and labels ``[n]`` from 1 on.

        Crowds and boxes of less than a pixel are left out.
        """
        number = self.rows[place]
        known = self.coco.imgs[number]
        found = [a for a in self.coco.imgToAnns[number] if not a.get("iscrowd", 0)]
        left_top_size = torch.tensor([a["bbox"] for a in found], dtype=torch.float32).view(-1, 4)
        boxes = left_top_size.clone()
        boxes[:, 2:] += boxes[:, :2]
        boxes[:, 0::2].clamp_(0, known["width"])
        boxes[:, 1::2].clamp_(0, known["height"])
        labels = torch.tensor([self.labels.index(a["category_id"]) + 1 for a in found]).long()
        kept = ((boxes[:, 2:] - boxes[:, :2]) >= LEAST).all(1)
        return {"boxes": boxes[kept], "labels": labels[kept]}


def open_boxes(folder: Path) -> tuple[Boxes, Boxes]:
    """Open the training and the test images of a folder; ValueError: it is not laid out so."""
    train, test = (read(folder, part) for part in ("train", "val"))
    if train.classes != test.classes or train.labels != test.labels:
        raise ValueError(
            f"{test.annotations} must have the categories of {train.annotations.name}, got "
            f"{', '.join(test.classes[:5])} beside {', '.join(train.classes[:5])}: write the same "
            "list into both"
        )
    if not any(len(train.target(place)["boxes"]) for place in range(len(train))):
        raise ValueError(
            f"{train.annotations} must have boxes, got none of a pixel or more: annotate some"
        )
    return train, test


def read(folder: Path, part: str) -> Boxes:
    """Read the annotations of one part."""
    file = annotations_of(folder, part)
    images = folder / file.stem.removeprefix("instances_")
    if not images.is_dir():
        raise FileNotFoundError(
            f"coco must have the images of {file.name} in {images}, got no such folder: name it so"
        )
    check(file)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = part_of("pycocotools.coco.COCO")(str(file))
    rows, labels = sorted(coco.imgs), sorted(coco.cats)
    classes = tuple(coco.cats[label]["name"] for label in labels)
    return Boxes(images, file, coco, rows, labels, classes)


def annotations_of(folder: Path, part: str) -> Path:
    """Find the only file of annotations of one part."""
    found = sorted((folder / "annotations").glob(f"instances_{part}*.json"))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise FileNotFoundError(
            f"coco must be a folder with one annotations/instances_{part}*.json, got {names} in "
            f"{folder}: {'leave one there' if found else 'correct --coco'}"
        )
    return found[0]


def check(file: Path) -> None:
    """Raise ValueError that names the first thing in annotations that is not as COCO has it."""
    try:
        found = json.loads(file.read_text())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} must be JSON, got {error}: write it again") from error
    for fault in faults(found):
        raise ValueError(f"{file} must be of COCO's format, got {fault}: correct it")


def faults(found: Any) -> Iterator[str]:
    """Say what of annotations is missing or wrong, a few words each."""
    lists = ("images", "annotations", "categories")
    for name in lists:
        rows = found.get(name) if isinstance(found, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            yield f"no list of objects under {name!r}"
            return
    keys = {"images": ("id", "file_name", "width", "height"), "categories": ("id", "name")}
    keys["annotations"] = ("id", "image_id", "category_id", "bbox")
    for name in lists:
        for place, row in enumerate(found[name]):
            if lacking := [key for key in keys[name] if key not in row]:
                yield f"{name}[{place}] without {lacking[0]!r}"
                return
        if len({row["id"] for row in found[name]}) != len(found[name]):
            yield f"two {name} with one id"
    for name in ("images", "categories"):
        if not found[name]:
            yield f"an empty list of {name}"
    known = {row["id"]: row for row in found["images"]}, {row["id"] for row in found["categories"]}
    for place, row in enumerate(found["annotations"]):
        if row["image_id"] not in known[0] or row["category_id"] not in known[1]:
            yield f"annotations[{place}] of an image or a category that is not listed"
        elif not is_box(row["bbox"]):
            yield f"annotations[{place}] with the box {row['bbox']!r}, not 4 numbers x, y, w, h"


def is_box(value: Any) -> bool:
    """Tell whether a value is a box as COCO writes it: finite, with no negative size."""
    numbers = isinstance(value, list) and all(isinstance(v, int | float) for v in value)
    return numbers and len(value) == 4 and bool(np.isfinite(value).all()) and min(value[2:]) >= 0
