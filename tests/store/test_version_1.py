"""Runs that version 1 of the files tells of are read, and go on with the same bits.

Made by the release before version 2, with one configuration: ``run`` is whole, ``begun-train`` and
``begun-retrain`` were killed in the second epoch; what of them is in ``run`` is taken from there.
"""

import shutil
from pathlib import Path

import pytest

from stnas.cli import main
from stnas.store.files import read_json
from stnas.store.tensors import read_tensors

DATA = Path(__file__).parent / "data" / "version_1"
WHOLE = ("train", "sgld", "search", "retrain", "rank")


def copy(run, *parts):
    """Copy parts of the whole run into a folder."""
    run.mkdir(exist_ok=True)
    for part in parts:
        source = DATA / "run" / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, run / part)


@pytest.fixture
def run(tmp_path):
    """Copy the whole run."""
    copy(tmp_path / "run", "config.yaml", "metrics.jsonl", "truth", *WHOLE)
    return tmp_path / "run"


def stnas(command, run, *more):
    main([command, "--run", str(run), "--data.path", str(DATA / "images.npz"), *more])


def bits(file):
    tensors, _ = read_tensors(file)
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


@pytest.mark.parametrize("stage", WHOLE)
def test_a_complete_stage_is_complete(run, stage, capsys):
    before = {file: file.read_bytes() for file in run.rglob("*.*") if file.is_file()}
    stnas(stage, run)
    assert f"{run / stage} is complete" in capsys.readouterr().out.replace("\n", "")
    assert all(file.read_bytes() == content for file, content in before.items())


def test_the_report_is_written(run):
    main(["report", "--run", str(run)])
    assert "A-random-1" in (run / "report/report.html").read_text()


def test_a_training_that_was_killed_ends_with_the_same_bits(tmp_path):
    shutil.copytree(DATA / "begun-train", tmp_path / "begun")
    stnas("train", tmp_path / "begun")
    for name in ("weights", "epoch-0001", "ema-0.9"):
        file = f"train/{name}.safetensors"
        assert bits(tmp_path / "begun" / file) == bits(DATA / "run" / file)


def test_a_retraining_that_was_killed_ends_with_the_same_bits(tmp_path):
    shutil.copytree(DATA / "begun-retrain", tmp_path / "begun")
    copy(tmp_path / "begun", "config.yaml", "train", "sgld", "search")
    stnas("retrain", tmp_path / "begun")
    found = read_json(tmp_path / "begun/retrain/result.json")["networks"]
    for network, known in zip(
        found, read_json(DATA / "run/retrain/result.json")["networks"], strict=True
    ):
        assert network["genotype"] == known["genotype"]
        file = f"retrain/{network['name']}/network.safetensors"
        assert bits(tmp_path / "begun" / file) == bits(DATA / "run" / file)


@pytest.mark.parametrize("stage", ["sgld", "search", "retrain"])
def test_a_stage_is_made_again_with_the_same_bits(run, stage):
    names = [file.relative_to(run) for file in (run / stage).rglob("*.safetensors")]
    shutil.rmtree(run / stage)
    stnas(stage, run)
    assert all(bits(run / name) == bits(DATA / "run" / name) for name in names)
    if stage == "search":
        known = read_json(DATA / "run/search/result.json")["choices"]
        found = read_json(run / "search/result.json")["choices"]
        assert [{**new, **old} for new, old in zip(found, known, strict=True)] == found


def test_what_was_trained_from_scratch_is_found(run, capsys):
    stnas("rank", run, "--rank.resamples", "101")
    assert "truth-00" not in capsys.readouterr().out
    assert len(list((run / "truth").iterdir())) == 1


def test_other_options_and_other_images_are_refused(run, tmp_path, capsys):
    with pytest.raises(SystemExit):
        stnas("sgld", run, "--train.epochs", "3")
    told = capsys.readouterr().err.replace("\n", "")
    assert "train.epochs: 2, now 3" in told
    with pytest.raises(SystemExit):
        stnas("train", run, "--data.path", "embedded")
    assert "other images" in capsys.readouterr().err
