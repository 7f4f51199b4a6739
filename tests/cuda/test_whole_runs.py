"""Whole runs on an emulated GPU, by the CUDA kernels: the processor's numbers and choices."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from whole_device import on_emulated_gpu, run_stages

from stnas.config import (
    Config,
    DataConfig,
    RankConfig,
    RetrainConfig,
    SearchConfig,
    SgldConfig,
    SpaceConfig,
    TrainConfig,
    VerdictConfig,
)
from stnas.store.files import read_json, read_rows
from stnas.store.tensors import read_tensors

STAGES = ("train", "sgld", "search", "verdict", "rank", "retrain")


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Config:
    """Configure a run of 52 images of 8x8 pixels, two blocks deep, without its folder."""
    rng, arrays = np.random.default_rng(0), {}
    for part, count in (("train", 72), ("test", 16)):
        labels = np.arange(count) % 4
        images = rng.integers(0, 100, (count, 8, 8))
        for image, label in zip(images, labels, strict=True):
            top, left = 4 * (label // 2), 4 * (label % 2)
            image[top : top + 4, left : left + 4] += 90
        arrays |= {f"{part}_images": images.astype(np.uint8), f"{part}_labels": labels}
    file = tmp_path_factory.mktemp("small") / "quarters.npz"
    np.savez(file, **arrays)
    return Config(
        seed=3,
        space=SpaceConfig(
            profile="nano", stages=(2, 2), widths=(4, 8), tail_width=16, stem_stride=1
        ),
        data=DataConfig(path=str(file), validation=0.25, jitter=0.1, balance="weights"),
        train=TrainConfig(epochs=2, batch_size=16, learning_rate=0.5, momentum=0.5, ema=(0.9,)),
        sgld=SgldConfig(samples=2),
        search=SearchConfig(population=3, generations=2, recalibration_images=32, random=0),
        verdict=VerdictConfig(candidates=1, epochs=1, rounds=1),
        rank=RankConfig(
            architectures=4,
            truth_epochs=1,
            resamples=100,
            truth_seeds=1,
            shared_statistics_steps=2,
            ways=("ema-0.9", "posterior", "finetune-1"),
        ),
        retrain=RetrainConfig(
            epochs=1, batch_size=16, learning_rate=0.1, warmup_epochs=0.5, random_twins=0
        ),
    )


@pytest.fixture(scope="module")
def runs(gpu_libraries, small, tmp_path_factory) -> dict[str, Path]:
    """Make the run on the processor and on the emulated GPU."""
    folder = tmp_path_factory.mktemp("runs")
    of = {name: replace(small, run=str(folder / name), device=name) for name in ("cpu", "cuda")}
    run_stages(of["cpu"], STAGES)
    on_emulated_gpu(gpu_libraries, run_stages, of["cuda"], STAGES)
    return {name: config.folder for name, config in of.items()}


@pytest.mark.parametrize(
    ("file", "tolerance"),
    [
        ("train/weights.safetensors", 2e-5),
        ("sgld/mean.safetensors", 2e-5),
        ("retrain/A/network.safetensors", 2e-4),
    ],
)
def test_weights_are_the_processors_but_for_rounding(runs, file, tolerance):
    here, there = (read_tensors(runs[name] / file)[0] for name in ("cpu", "cuda"))
    assert here.keys() == there.keys()
    for name, value in here.items():
        torch.testing.assert_close(there[name], value, rtol=tolerance, atol=tolerance)


def test_scores_and_choices_are_the_processors(runs):
    origin = read_json(runs["cpu"] / "search/result.json")["origin"]
    archives = [
        read_rows(runs[name] / "search/archive.jsonl", origin=origin) for name in ("cpu", "cuda")
    ]
    for here, there in zip(*archives, strict=True):
        assert (there["genotype"], there["madds"]) == (here["genotype"], here["madds"])
        assert there["accuracy"] == here["accuracy"]
        assert there["loss"] == pytest.approx(here["loss"], rel=1e-4)
    results = [read_json(runs[name] / "retrain/result.json") for name in ("cpu", "cuda")]
    for here, there in zip(*(result["networks"] for result in results), strict=True):
        assert there["genotype"] == here["genotype"]
        assert there["history"][-1]["loss"] == pytest.approx(here["history"][-1]["loss"], rel=1e-4)
        assert there["test_accuracy"] == here["test_accuracy"]


def test_every_stage_is_recorded_with_its_device(runs):
    for stage in STAGES:
        for name, device in (("cpu", "cpu"), ("cuda", "emulated, emulated GPU")):
            record = read_json(runs[name] / stage / "config.json")
            assert [made["device"] for made in record["made_with"]] == [device]
