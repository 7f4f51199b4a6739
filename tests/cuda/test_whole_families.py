"""Whole runs of the other families on an emulated GPU: the processor's numbers and choices."""

from dataclasses import replace

import pytest
from whole_device import on_emulated_gpu, run_stages

from stnas.config import SearchConfig, SpaceConfig, TrainConfig, VerdictConfig
from stnas.store.files import read_json, read_rows
from stnas.store.tensors import read_tensors

STAGES = ("train", "search", "retrain")
SPACES = {
    "spos": SpaceConfig(
        family="spos", profile="nano", stages=(1, 2), widths=(8, 12), stem_width=4, tail_width=8,
        stem_stride=1, scales=(6, 10),
    ),
    "quant": SpaceConfig(family="quant", profile="resnet14", stages=(1, 1), widths=(4, 8)),
    "nb201": SpaceConfig(family="nb201", profile="micro", channels=2),
    "darts": SpaceConfig(family="darts", profile="micro", channels=2, cells=3),
}  # fmt: skip
TOLERANCE = 5e-4
"""How far weights of a run may lie apart: three epochs of steps, each with its rounding."""


def configured(small, family, folder, device, **more):
    """Configure a short run of a family."""
    return replace(
        small,
        run=str(folder / device),
        device=device,
        kernels="reference" if family == "quant" else "fused",
        space=SPACES[family],
        train=replace(
            TrainConfig(epochs=1, batch_size=16, learning_rate=0.05, sampling="uniform"), **more
        ),
        search=SearchConfig(
            population=3,
            generations=2,
            score="single",
            recalibration_images=32,
            random=0,
            cost="bitops" if family == "quant" else "madds",
        ),
        verdict=VerdictConfig(candidates=0),
        retrain=replace(small.retrain, learning_rate=0.02),
    )


def both(gpu_libraries, small, family, folder, **more):
    """Run the stages on both devices; return the folders."""
    here, there = (configured(small, family, folder, word, **more) for word in ("cpu", "cuda"))
    run_stages(here, STAGES)
    told = on_emulated_gpu(gpu_libraries, run_stages, there, STAGES)
    assert told.count(": device emulated, emulated GPU") == len(STAGES)
    assert f"torch's operators compute all layers: blocks of space.family {family} have no" in told
    return here.folder, there.folder


def compare(here, there, tolerance):
    """Hold weights, scores and choices of two runs against each other."""
    for name in ("train/weights.safetensors", "retrain/A/network.safetensors"):
        (own, _), (other, _) = read_tensors(here / name), read_tensors(there / name)
        assert own.keys() == other.keys()
        for key, value in own.items():
            gap, size = (other[key].double() - value.double()).abs(), value.abs().max()
            assert gap.max() <= tolerance * (1 + size), (name, key, gap.max())
    origin = read_json(here / "search/result.json")["origin"]
    archives = [read_rows(run / "search/archive.jsonl", origin=origin) for run in (here, there)]
    for own, other in zip(*archives, strict=True):
        assert (own["genotype"], own["accuracy"]) == (other["genotype"], other["accuracy"])
        assert other["loss"] == pytest.approx(own["loss"], rel=10 * tolerance)
    chosen = [read_json(run / "retrain/result.json")["networks"] for run in (here, there)]
    for own, other in zip(*chosen, strict=True):
        assert (own["genotype"], own["test_accuracy"]) == (
            other["genotype"],
            other["test_accuracy"],
        )


@pytest.mark.parametrize("family", SPACES)
def test_a_run_of_a_family_is_the_processors_but_for_rounding(
    gpu_libraries, small, tmp_path, family
):
    compare(*both(gpu_libraries, small, family, tmp_path), TOLERANCE)
