"""The recipe ``spos``: its first steps, search and report at full size, on a few JPEG files."""

import json

import numpy as np
import pytest
from PIL import Image

from stnas.cli import main
from stnas.space import SearchSpace

SMALL = (
    "--data.validation 0.25 --data.backend pillow --train.epochs 1 --train.batch_size 4 --threads 1"
    " --train.checkpoints 0 --search.population 2 --search.generations 1"
    " --search.recalibration_images 8 --search.recalibration_batch 4 --search.evaluation_batch 4"
)


@pytest.fixture
def photographs(tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 8), ("val", 1)):
        for name in ("cat", "dog"):
            place = tmp_path / "images" / part / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (260 + 8 * number, 280, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.jpg")
    return tmp_path / "images"


def test_the_recipe_of_imagenet_takes_its_first_steps_at_full_size(photographs, tmp_path):
    run = tmp_path / "run"
    options = [*SMALL.split(), "--run", str(run), "--data.path", str(photographs)]
    main(["train", "--config", "spos", *options])
    result = json.loads((run / "train" / "result.json").read_text())
    space = SearchSpace.from_json(result["space"])
    assert space.head.image_size == 224
    assert space.num_architectures == 4**20
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    last = [row for row in rows if row["stage"] == "train"][-1]
    assert last["step"] == result["data"]["train"] // 4 == 3
    assert np.isfinite(last["loss"])
    main(["search", "--run", str(run)])
    lines = (run / "search" / "archive.jsonl").read_text().splitlines()
    madds = [json.loads(line)["madds"] for line in lines]
    assert len(madds) == 2
    assert all(270e6 < own <= 330e6 for own in madds)
