"""Pictures of squares and bars with boxes, laid out as COCO, and a detector small for them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SMALL: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 4,
    "size": 48,
    "channels": 8,
    "head_width": 16,
    "proposals": 40,
    "regions": 16,
}
"""Options of a detector that is trained in a second."""


def write_squares(folder: Path) -> None:
    """Write dark pictures of 48 x 48 pixels with a bright square, or a bright wide bar, or both."""
    rng = np.random.default_rng(0)
    (folder / "annotations").mkdir(parents=True)
    for part, count in (("train2026", 12), ("val2026", 6)):
        (folder / part).mkdir()
        found = {"images": [], "annotations": []}
        for number in range(count):
            canvas = rng.integers(0, 60, (48, 48))
            for kind in {number % 2, number % 3 % 2}:
                width, height = ((14, 14), (24, 8))[kind]
                x, y = (int(rng.integers(0, 48 - side)) for side in (width, height))
                canvas[y : y + height, x : x + width] = 230
                box = {"bbox": [x, y, width, height], "area": width * height, "iscrowd": 0}
                marks = {"id": len(found["annotations"]) + 1, "image_id": number}
                found["annotations"].append({**marks, **box, "category_id": 7 + 10 * kind})
            name = f"{number}.png"
            Image.fromarray(canvas.astype(np.uint8)).save(folder / part / name)
            size = {"width": 48, "height": 48}
            found["images"].append({"id": number, "file_name": name, **size})
        kinds = [{"id": 7, "name": "square"}, {"id": 17, "name": "bar"}]
        file = folder / "annotations" / f"instances_{part}.json"
        file.write_text(json.dumps({**found, "categories": kinds}))
