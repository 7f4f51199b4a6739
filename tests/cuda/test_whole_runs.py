"""Whole runs on an emulated GPU, by the CUDA kernels: the processor's numbers and choices."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from whole_device import on_emulated_gpu, run_stages, waits_of_stages
from whole_work import benchmark

from stnas.store.files import read_json, read_rows
from stnas.store.run_folder import RunFolder
from stnas.store.tensors import read_tensors

STAGES = ("train", "sgld", "search", "verdict", "rank", "retrain")


@pytest.fixture(scope="module")
def waited(gpu_libraries, small, tmp_path_factory) -> tuple[dict[str, Path], dict[str, int]]:
    """Make the run on the processor and on the emulated GPU; give how often the host waited."""
    folder = tmp_path_factory.mktemp("runs")
    of = {name: replace(small, run=str(folder / name), device=name) for name in ("cpu", "cuda")}
    run_stages(of["cpu"], STAGES)
    found = on_emulated_gpu(gpu_libraries, waits_of_stages, of["cuda"], STAGES)
    return {name: config.folder for name, config in of.items()}, found


@pytest.fixture(scope="module")
def runs(waited) -> dict[str, Path]:
    """Give the folders of both runs."""
    return waited[0]


def test_no_stage_waits_by_step_or_by_batch(waited, gpu_libraries, small, tmp_path):
    search = replace(small.search, evaluation_batch=7, recalibration_batch=16)
    more_steps = replace(
        small,
        run=str(tmp_path / "run"),
        device="cuda",
        train=replace(small.train, batch_size=8),
        search=search,
        retrain=replace(small.retrain, batch_size=8, evaluation_batch=5),
    )
    found = on_emulated_gpu(gpu_libraries, waits_of_stages, more_steps, STAGES)
    assert found.keys() == set(STAGES)
    assert min(found.values()) > 0
    assert found == waited[1]


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


def stop(path: Path, count: int) -> None:
    raise StoppedError


class StoppedError(Exception):
    """What ends a run inside a stage."""


def test_every_stage_says_that_it_goes_on_elsewhere(gpu_libraries, small, tmp_path, monkeypatch):
    begin, begun = RunFolder.begin, []
    config = replace(small, run=str(tmp_path / "run"))

    def begun_alone(folder: RunFolder, stage: str) -> Path:
        begun.append(begin(folder, stage))
        (begun[-1] / "piece.txt").write_text("a piece of work")
        raise StoppedError

    for stage in STAGES:
        monkeypatch.setattr(RunFolder, "begin", begun_alone)
        with pytest.raises(StoppedError):
            run_stages(replace(config, device="cpu"), (stage,))
        monkeypatch.setattr(RunFolder, "begin", begin)
        told = on_emulated_gpu(gpu_libraries, run_stages, replace(config, device="cuda"), (stage,))
        assert f"{stage}: device emulated, emulated GPU" in told
        assert "(device: 'cpu', now 'emulated, emulated GPU')" in told
        record = read_json(config.folder / stage / "config.json")
        devices = [made["device"] for made in record["made_with"]]
        assert devices == ["cpu", "emulated, emulated GPU"]
    assert len(begun) == len(STAGES)


def test_a_run_goes_on_on_another_device(gpu_libraries, small, runs, tmp_path, at_states):
    config = replace(small, run=str(tmp_path / "run"), device="cpu")
    with pytest.raises(StoppedError), at_states(stop):
        run_stages(config, ("train",))
    told = on_emulated_gpu(gpu_libraries, run_stages, replace(config, device="auto"), ("train",))
    assert "train: device emulated, emulated GPU" in told
    assert "train: on the GPU kernels of stnas compute blocks, BN" in told
    assert "(device: 'cpu', now 'emulated, emulated GPU')" in told
    record = read_json(config.folder / "train/config.json")
    assert [made["device"] for made in record["made_with"]] == ["cpu", "emulated, emulated GPU"]
    whole, there = (
        read_tensors(run / "train/weights.safetensors")[0] for run in (runs["cpu"], config.folder)
    )
    for name, value in whole.items():
        torch.testing.assert_close(there[name], value, rtol=2e-5, atol=2e-5)


CASES = (
    "sgld_step_/100", "count_madds/9x54", "norm_act training", "bfloat16", "node_moments",
    "step/nano float32", "score/nano", "images in memory", "retraining/nano", "as a CUDA graph",
    "quickstart on cpu", "quickstart on cuda", "images streamed by pillow",
)  # fmt: skip


def test_the_benchmark_of_a_gpu_runs_whole(gpu_libraries, small, tmp_path):
    config = replace(small, run=str(tmp_path / "results"), device="cuda")
    on_emulated_gpu(gpu_libraries, benchmark, config)
    page = (config.folder / "gpu.md").read_text()
    assert page.startswith("# Measured on emulated GPU\n")
    with (config.folder / "gpu.csv").open() as file:
        assert json.loads(file.readline()[2:])["gpu"] == "emulated GPU"
        rows = list(csv.DictReader(file))
    assert rows[0]["case"] == "tests/cuda/test_counting_kernel.py"
    assert rows[0]["passed"] == str(torch.cuda.is_available()), "STNAS_REQUIRE_CUDA=1 is not heard"
    assert {row["apart"] for row in rows if "graph" in row["case"]} == {"0.0e+00"}
    assert all(row["share"] for row in rows if row["section"] == "Kernels")
    assert all(float(row["H100_floor_ms"]) > 0 for row in rows if "step/" in row["case"])
    named = " ".join(row["case"] for row in rows)
    for case in CASES:
        assert case in named
        assert case in page
