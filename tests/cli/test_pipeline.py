"""Stages in their order, and what is refused before anything is made."""

import logging

import pytest

from stnas.cli import main, pipeline
from stnas.pipeline import stages
from stnas.store import console

LATER = ["sgld", "search", "verdict", "rank", "retrain", "report"]


def error_of(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 1
    return capsys.readouterr().err


@pytest.mark.parametrize("stage", LATER)
def test_a_wrong_run_makes_nothing(stage, tmp_path, capsys):
    text = error_of([stage, "--run", str(tmp_path / "typo")], capsys)
    assert (
        f"typo, which does not exist: correct --run, or run `stnas train --run {tmp_path}" in text
    )
    assert text.count("\n") == 1
    (tmp_path / "mine").mkdir()
    assert "which holds no run" in error_of([stage, f"--run={tmp_path / 'mine'}"], capsys)
    assert [file.name for file in tmp_path.rglob("*")] == ["mine"]


def test_the_run_that_was_meant_is_named(tmp_path, capsys):
    (tmp_path / "experiment-1/train").mkdir(parents=True)
    text = error_of(["search", "--run", str(tmp_path / "experment-1")], capsys)
    assert "did you mean experiment-1?" in text
    text = error_of(["count", "st1-00000000-0-0000000", "--run", str(tmp_path / "x")], capsys)
    assert "run must be the folder of a run that is trained" in text


@pytest.fixture
def ran(monkeypatch):
    """Record the stages instead of running them."""
    found = []
    for stage in stages.STAGES:
        monkeypatch.setitem(
            stages.STAGES, stage, lambda config, stage=stage, **_: found.append(stage)
        )
    monkeypatch.setattr(pipeline, "print_outcome", lambda config: None)
    return found


@pytest.mark.parametrize("candidates", [0, 3])
def test_a_whole_run_counts_its_stages(candidates, ran, tmp_path, capsys):
    main(["run", f"--run={tmp_path}", f"--verdict.candidates={candidates}"])
    out = capsys.readouterr().out
    assert ran == ["train", "sgld", "search", *["verdict"] * (candidates > 0), "retrain", "report"]
    for number, stage in enumerate(ran, start=1):
        assert f"stnas: stage {number} of {len(ran)}: {stage}\n" in out


def test_a_warning_is_said_once_a_run(ran, monkeypatch, tmp_path, capsys):
    def warned(config, **_):
        logging.getLogger("stnas.data.folder").warning("%d files are passed over: [x]", 3)

    monkeypatch.setattr(console, "_SAID", set())
    for stage in stages.STAGES:
        monkeypatch.setitem(stages.STAGES, stage, warned)
    main(["run", f"--run={tmp_path}"])
    assert capsys.readouterr().out.count("3 files are passed over: [x]\n") == 1
