"""The run folder refuses what does not belong together."""

import os
from dataclasses import replace

import pytest
import yaml

from stnas import train
from stnas.config import VerdictConfig
from stnas.store.files import write_json
from stnas.store.names import STATE
from stnas.store.origin import differences, plain
from stnas.store.run_folder import RunFolder, StageCompleteError
from stnas.store.tensors import write_tensors

DATA = {"name": "made up", "fingerprint": "0" * 16, "classes": ["a"], "mean": [0.5], "std": [0.25]}
TRAINED = {
    "seconds": 1.5,
    "epochs": 3,
    "space": {},
    "p_drop": 0.5,
    "expected_madds": 9.0,
    "data": {**DATA, "train": 4, "validation": 2, "test": 2},
}


def test_a_stage_needs_the_ones_before_it(tiny_config):
    with (
        RunFolder(tiny_config) as run,
        pytest.raises(FileNotFoundError, match=r"train is not complete: run `stnas train --run"),
    ):
        run.check("sgld")
    assert not (run.path / "sgld").exists()


def test_a_folder_that_was_made_for_an_error_alone_goes(tiny_config, tmp_path):
    wrong = replace(tiny_config, data=replace(tiny_config.data, path=str(tmp_path / "nowhere")))
    with pytest.raises(ValueError, match=r"data\.path must be .*does not exist"):
        train.run(wrong)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "run").mkdir()
    (tmp_path / "run/notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"data\.path"):
        train.run(wrong)
    assert (tmp_path / "run/notes.txt").read_text() == "mine"


def test_a_complete_stage_is_not_done_again(tiny_config):
    with RunFolder(tiny_config) as run:
        run.begin("train")
        run.finish("train", TRAINED)
        found = {"version": 2, **TRAINED, "files": {}, "origin": run.origin("train")}
        assert run.result("train") == found
        with pytest.raises(StageCompleteError, match="delete that folder"):
            run.check("train")


def test_another_configuration_is_refused_by_key_and_values(tiny_config):
    with RunFolder(tiny_config) as run:
        run.begin("train")
        run.finish("train", TRAINED)
    other = replace(tiny_config, train=replace(tiny_config.train, epochs=9))
    with RunFolder(other) as run:
        for stage in ("train", "sgld"):
            with pytest.raises(ValueError, match=r"train\.epochs: 3, now 9.*delete"):
                run.check(stage)
    later = replace(tiny_config, search=replace(tiny_config.search, population=9), threads=2)
    with RunFolder(later) as run:
        run.check("sgld")
        assert run.begin("sgld").is_dir()
    stored = yaml.safe_load((run.path / "config.yaml").read_text())
    assert stored == plain(later)


def test_a_half_done_stage_goes_on_with_its_own_configuration_alone(tiny_config):
    with RunFolder(tiny_config) as run:
        folder = run.begin("train")
        write_tensors(folder / STATE, {})
    with RunFolder(replace(tiny_config, seed=4)) as run, pytest.raises(ValueError, match="seed"):
        run.check("train")


def test_a_second_process_is_refused(tiny_config):
    with (
        RunFolder(tiny_config),
        pytest.raises(
            RuntimeError, match=rf"another process \(process {os.getpid()} on .+\): wait"
        ),
    ):
        RunFolder(tiny_config).__enter__()
    with RunFolder(tiny_config):
        pass


def test_files_of_another_version_are_refused(tiny_config):
    with RunFolder(tiny_config) as run:
        run.begin("train")
        write_json(run.path / "train" / "result.json", {"version": 99})
        with pytest.raises(ValueError, match="not written by this version"):
            run.check("sgld")


def test_differences_name_nested_keys():
    old = {"a": {"b": 1, "c": [1, 2]}, "d": None}
    new = {"a": {"b": 2, "c": [1, 2]}, "e": 3}
    assert differences(old, new) == ["a.b: 1, now 2", "e: None, now 3"]
    assert differences(old, old) == []


def test_a_folder_that_cannot_be_written_is_refused(tiny_config, tmp_path):
    (tmp_path / "file").write_text("")
    config = replace(tiny_config, run=str(tmp_path / "file" / "run"))
    with pytest.raises(OSError, match=r"run must be a folder that can be written.*--run"):
        RunFolder(config).__enter__()


DECIDES = {
    "train": ("seed", "space", "data", "train"),
    "sgld": ("seed", "space", "data", "train", "sgld"),
    "search": ("seed", "space", "data", "train", "sgld", "search"),
    "rank": ("seed", "space", "data", "train", "sgld", "search", "rank"),
    "verdict": ("seed", "space", "data", "train", "sgld", "search", "verdict", "retrain"),
    "retrain": ("seed", "space", "data", "train", "sgld", "search", "verdict", "retrain"),
}
OTHER = {
    "space": {"widths": (8, 16)},
    "data": {"flip": True},
    "train": {"learning_rate": 0.5},
    "sgld": {"samples": 4},
    "search": {"population": 5},
    "rank": {"architectures": 5},
    "verdict": {"candidates": 3},
    "retrain": {"epochs": 3},
}


def mark(config, stage, folder):
    """Return what marks the files of a stage of a configuration."""
    with RunFolder(replace(config, run=str(folder))) as run:
        run.begin(stage)
        return run.origin(stage)


@pytest.mark.parametrize("stage", DECIDES)
def test_a_stage_is_marked_by_every_section_that_it_depends_on(tiny_config, tmp_path, stage):
    tiny_config = replace(tiny_config, verdict=VerdictConfig(candidates=2))
    own = mark(tiny_config, stage, tmp_path / "own")
    for section in ("seed", *OTHER):
        other = OTHER.get(section)
        part = 9 if other is None else replace(getattr(tiny_config, section), **other)
        found = mark(replace(tiny_config, **{section: part}), stage, tmp_path / section)
        assert (found != own) == (section in DECIDES[stage]), section
    elsewhere = replace(tiny_config, threads=2, save_every=1.0)
    assert mark(elsewhere, stage, tmp_path / "elsewhere") == own
