"""What a detector finds, and how well: the average precisions of COCO, as pycocotools has them."""

import contextlib
import io
from typing import Any

import numpy as np
import torch

from stnas.detect.coco import Boxes
from stnas.detect.installed import part_of

NAMES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
"""The first of COCO's twelve numbers, in its order."""
RECALL = 8
"""Place of the average recall of 100 boxes an image."""


def find(model: Any, images: Boxes) -> list[dict[str, Any]]:
    """List what a detector finds on all images, as COCO lists results."""
    model.eval()
    place = next(model.parameters()).device
    channels = len(model.transform.image_mean)
    results = []
    with torch.no_grad():
        for number in range(len(images)):
            (found,) = model([images.image(number, channels=channels).to(place)])
            boxes = found["boxes"].cpu()
            boxes[:, 2:] -= boxes[:, :2]
            labels, scores = found["labels"].tolist(), found["scores"].tolist()
            results += [
                {
                    "image_id": images.rows[number],
                    "category_id": images.labels[label - 1],
                    "bbox": [round(value, 2) for value in box],
                    "score": round(score, 5),
                }
                for box, label, score in zip(boxes.tolist(), labels, scores, strict=True)
            ]
    return results


def score(images: Boxes, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return average precisions over overlaps of .5 to .95, in all and by class.

    None: there are no boxes of this size or class.
    """
    if not results:
        return {**dict.fromkeys(NAMES, 0.0), "ar100": 0.0, "classes": dict.fromkeys(images.classes)}
    with contextlib.redirect_stdout(io.StringIO()):
        found = images.coco.loadRes(results)
        measured = part_of("pycocotools.cocoeval.COCOeval")(images.coco, found, "bbox")
        measured.evaluate()
        measured.accumulate()
        measured.summarize()
    stats = [known(value) for value in measured.stats]
    precisions = measured.eval["precision"][:, :, :, 0, -1]
    each = [own[own > -1] for own in np.moveaxis(precisions, 2, 0)]
    by_class = [float(own.mean()) if own.size else None for own in each]
    return {
        **dict(zip(NAMES, stats, strict=False)),
        "ar100": stats[RECALL],
        "classes": dict(zip(images.classes, by_class, strict=True)),
    }


def known(value: float) -> float | None:
    """Return one of COCO's numbers; None where it is -1, which stands for no boxes."""
    return float(value) if value > -1 else None
