"""Sizes that fit the images: proposed, taken by ``auto``, and named by the refusal."""

import logging
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stnas.config import DataConfig
from stnas.data import load
from stnas.data.proposal import proposed_size

SIDES = st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), min_size=1, max_size=40)


def make_folder(root, sizes):
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (root / part / name).mkdir(parents=True)
            for i, (width, height) in enumerate(sizes):
                pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{i}.png")
    return str(root)


@given(SIDES)
def test_half_of_the_images_are_as_large_as_the_proposal(sides):
    sizes = np.array(sides)
    found = proposed_size(sizes)
    assert found % 8 == 0
    assert 8 <= found <= 64
    if found > 8:
        assert (sizes.min(axis=1) >= found).sum() * 2 >= len(sides)


@pytest.mark.parametrize("way", ["memory", "pillow", "dali"])
@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(20, 30), (45, 52), (33, 40)], 32),
        ([(300, 400), (500, 300), (90, 90)], 64),
        ([(9, 12), (10, 9), (11, 30)], 8),
        ([(30, 20)] * 3, 16),
    ],
)
def test_auto_scales_mixed_sizes_and_says_so(tmp_path, way, sizes, expected, caplog):
    config = DataConfig(path=make_folder(tmp_path / "x", sizes), backend=way, image_size="auto")
    with caplog.at_level(logging.WARNING):
        data = load(config, seed=0)
    assert data.image_size == expected
    assert f"so they are scaled to {expected}x{expected}" in caplog.text
    named = load(DataConfig(path=config.path, backend=way, image_size=expected), seed=0).fingerprint
    assert data.fingerprint == named


@pytest.mark.parametrize("way", ["memory", "pillow"])
def test_auto_keeps_images_that_are_square_and_alike(tmp_path, way, caplog):
    path = make_folder(tmp_path / "x", [(19, 19)] * 3)
    with caplog.at_level(logging.WARNING):
        data = load(DataConfig(path=path, backend=way, image_size="auto"), seed=0)
    plain = {} if way == "memory" else {"image_size": 19}
    assert data.fingerprint == load(DataConfig(path=path, backend=way, **plain), seed=0).fingerprint
    assert "auto" not in caplog.text


@pytest.mark.parametrize("shape", [(20, 30, 3), (30, 20)])
def test_auto_cuts_the_centre_out_of_arrays(tmp_path, shape):
    path, labels = tmp_path / "set.npz", np.arange(12) % 2
    images = np.random.default_rng(0).integers(0, 256, (12, *shape), dtype=np.uint8)
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    assert load(DataConfig(path=str(path), image_size="auto"), seed=0).image_size == 16
    with pytest.raises(ValueError, match=r"must be square"):
        load(DataConfig(path=str(path)), seed=0)


def test_the_size_that_the_refusal_names_works(tmp_path):
    path = make_folder(tmp_path / "x", [(45, 50), (41, 60), (70, 44)])
    with pytest.raises(ValueError, match="must have one size") as caught:
        load(DataConfig(path=path), seed=0)
    (size,) = re.findall(r"set --data.image_size (\d+)", str(caught.value))
    assert load(DataConfig(path=path, image_size=int(size)), seed=0).image_size == int(size) == 40
