"""Settings for every test, and a run that is small enough to train in a second."""

import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# A test's own interpreters import the package that is installed, not the folder that they start in.
os.environ["PYTHONSAFEPATH"] = "1"

import numpy as np
import pytest
import torch
from hypothesis import settings

from stnas.config import (
    Config,
    DataConfig,
    RetrainConfig,
    SearchConfig,
    SgldConfig,
    SpaceConfig,
    TrainConfig,
)

# The machines that run these tests are shared: a slow example is not a failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 12x12 grey images of four classes: noise with one bright quarter."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 480), ("test", 120)):
        labels = np.arange(count) % 4
        images = rng.integers(0, 100, (count, 12, 12))
        for image, label in zip(images, labels, strict=True):
            top, left = 6 * (label // 2), 6 * (label % 2)
            image[top : top + 6, left : left + 6] += 90
        arrays |= {f"{part}_images": images.astype(np.uint8), f"{part}_labels": labels}
    path = tmp_path_factory.mktemp("images") / "quarters.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture
def tiny_config(tiny_images: Path, tmp_path: Path) -> Config:
    """Configure a run of a few seconds: 5 nodes, 9 edges, 432 training images."""
    return Config(
        run=str(tmp_path / "run"),
        seed=3,
        space=SpaceConfig(
            profile="nano", stages=(3, 2), widths=(8, 12), tail_width=16, stem_stride=1
        ),
        data=DataConfig(path=str(tiny_images), flip=False, crop_padding=0),
        train=TrainConfig(epochs=3, batch_size=16, learning_rate=1.0),
        sgld=SgldConfig(samples=3),
        search=SearchConfig(population=4, generations=3, recalibration_images=96),
        retrain=RetrainConfig(epochs=2, batch_size=16, learning_rate=0.1, warmup_epochs=0.5),
    )
