"""Which part of the images decides what: test images give figures, and nothing else."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stnas import rank, retrain, search, sgld, train
from stnas.config import Config, RankConfig
from stnas.data.epochs import evaluation_batches
from stnas.learn.evaluation import evaluate
from stnas.learn.scoring import recalibration_images, shared_weights
from stnas.learn.task import prepare
from stnas.store.files import read_json, read_rows
from stnas.store.run_folder import RunFolder
from stnas.store.tensors import read_tensors

TEST_FIGURES = (
    "test_accuracy",
    "test_accuracy_before",
    "test_balanced_accuracy",
    "test_balanced_accuracy_before",
    "test_recalls",
)
"""What test images decide; and the accuracy after an epoch in the history of a retraining."""


def textures(count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw stripes, a checkerboard and a plain grey: four kinds that no bright quarter is like."""
    y, x = np.mgrid[:12, :12]
    kinds = np.stack([255 * (y % 2), 255 * (x % 2), 255 * ((x + y) % 2), 0 * x + 128])
    labels = np.arange(count) % 4
    return kinds[labels].astype(np.uint8), labels


@pytest.fixture
def with_test_images(tiny_images: Path, tmp_path: Path) -> Callable[..., str]:
    """Give what writes the tiny images with other test images, and returns the file's path."""
    own = dict(np.load(tiny_images))

    def write(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> str:
        file = tmp_path / f"{len(list(tmp_path.glob('*.npz')))}.npz"
        np.savez(file, **own | {"test_images": images, "test_labels": labels})
        return str(file)

    return write


def ranking(**options: Any) -> RankConfig:
    """Configure a ranking of four architectures that takes seconds."""
    few = {"architectures": 4, "truth_epochs": 1, "ways": ("single",), "resamples": 100}
    return RankConfig(**{**few, "shared_statistics_steps": 2, **options})


def on(config: Config, file: str) -> Config:
    """Return a configuration on other images, in a run folder of its own."""
    data = replace(config.data, path=file)
    return replace(config, data=data, run=str(Path(config.run).with_name(Path(file).stem)))


def everything(config: Config) -> dict[str, Any]:
    """Run all stages; return weights, scores and networks, without what test images decide."""
    for stage in (train, sgld, search, retrain, rank):
        stage.run(config)
    run = Path(config.run)
    found: dict[str, Any] = {}
    for name in ("search/archive.jsonl", "rank/scores.jsonl"):
        found[name] = read_rows(run / name, origin=None)
    for file in sorted(run.rglob("[!.]*.safetensors")):
        tensors = read_tensors(file)[0].items()
        found[file.relative_to(run).as_posix()] = {k: v.numpy().tobytes() for k, v in tensors}
    for network in read_json(run / "retrain/result.json")["networks"]:
        losses = [epoch["loss"] for epoch in network["history"]]
        known = {key: network[key] for key in ("genotype", "madds", "validation_accuracy")}
        found[network["name"]] = known | {"losses": losses}
    return found


def test_other_test_images_change_no_weight_no_score_and_no_choice(
    tiny_config: Config, tiny_images: Path, with_test_images: Callable[..., str]
) -> None:
    config = replace(tiny_config, rank=ranking(ways=("single", "none", "finetune-3")))
    first = on(config, str(tiny_images))
    other = on(config, with_test_images(*textures(60)))
    assert everything(first) == everything(other)
    for key in TEST_FIGURES:
        values = [
            [network[key] for network in read_json(Path(c.run) / "retrain/result.json")["networks"]]
            for c in (first, other)
        ]
        assert values[0] != values[1], key


@pytest.fixture
def searched(tiny_config: Config) -> Config:
    for stage in (train, sgld, search):
        stage.run(tiny_config)
    return tiny_config


def test_figures_before_training_are_those_of_the_part_that_they_name(
    searched: Config, calibrated
) -> None:
    retrain.run(searched)
    task = prepare(searched)
    (supernet,) = shared_weights(searched, task, RunFolder(searched))
    images = recalibration_images(searched, task)
    parts = {
        "validation_accuracy": task.dataset.validation,
        "test_accuracy_before": task.dataset.test,
    }
    for network in read_json(Path(searched.run) / "retrain/result.json")["networks"]:
        alone = calibrated(supernet, task.space.parse(network["genotype"]), images)
        for key, split in parts.items():
            data = evaluation_batches(task.dataset, split, size=64)
            assert network[key] == evaluate(alone, data).accuracy, key


@pytest.mark.parametrize("stage", [retrain, rank])
def test_held_out_images_are_trained_on_where_asked_and_only_there(
    searched: Config, stage: Any
) -> None:
    """A batch of more images than are left without them, 432, tells whether they are there."""
    short = replace(searched.retrain, batch_size=440, epochs=1, warmup_epochs=0.0)
    config = replace(searched, retrain=short, rank=ranking())
    without = replace(config, retrain=replace(short, with_validation=False))
    with pytest.raises(ValueError, match=r"images.* = 432, got 440"):
        stage.run(without)
    stage.run(replace(config, run=copied(config)))


def copied(config: Config) -> str:
    """Copy what was trained and searched to a folder of its own."""
    folder = Path(config.run).with_name("copy")
    for stage in ("train", "sgld", "search"):
        shutil.copytree(Path(config.run) / stage, folder / stage)
    shutil.copy(Path(config.run) / "config.yaml", folder)
    return str(folder)


def test_the_last_epoch_is_reported_and_not_the_best_one_on_test_images(
    tiny_config: Config, tiny_images: Path, with_test_images: Callable[..., str]
) -> None:
    """Under wrong labels the accuracy on test images falls with every epoch of training."""
    own = np.load(tiny_images)
    config = on(tiny_config, with_test_images(own["test_images"], (own["test_labels"] + 1) % 4))
    slow = replace(config.retrain, epochs=4, learning_rate=0.02)
    config = replace(config, retrain=slow)
    for stage in (train, sgld, search, retrain):
        stage.run(config)
    networks = read_json(Path(config.run) / "retrain/result.json")["networks"]
    falls = 0
    for network in networks:
        values = [epoch["accuracy"] for epoch in network["history"]]
        assert network["test_accuracy"] == values[-1]
        falls += values[-1] < max(values)
    assert falls


def test_the_ground_truth_is_not_trained_on_test_images(
    tiny_config: Config, with_test_images: Callable[..., str]
) -> None:
    """Textures that no training image is like are told apart by nothing but training on them."""
    config = on(tiny_config, with_test_images(*textures(120)))
    config = replace(
        config, rank=ranking(truth_epochs=3), retrain=replace(config.retrain, warmup_epochs=0.0)
    )
    train.run(config)
    rank.run(config)
    rows = read_json(Path(config.run) / "rank/result.json")["architectures"]
    assert np.mean([row["truth"] for row in rows]) < 0.6
