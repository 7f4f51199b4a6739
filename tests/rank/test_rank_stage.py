"""The stage `rank`: every way is held against the ground truth, and a stopped ranking goes on."""

import shutil
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from stnas import rank, train
from stnas.config import RankConfig
from stnas.group.processes import ProcessGroup
from stnas.learn.task import prepare
from stnas.rank import scoring, truth
from stnas.rank.architectures import architectures
from stnas.rank.ledger import vectors
from stnas.rank.scoring import Bench
from stnas.rank.statistics import tau
from stnas.store.files import read_json, read_rows
from stnas.store.run_folder import RunFolder, StageCompleteError

WAYS = (
    *("single", "tail", "ema-0.9", "none", "relative-0.02@0.1"),
    *("finetune-3", "finetune-epoch", "probe-40", "probe-100"),
)


@pytest.fixture(scope="module")
def trained_once(tiny_settings, tmp_path_factory):
    options = replace(tiny_settings.train, checkpoints=2, ema=(0.9,))
    ranking = RankConfig(
        architectures=6,
        repeated=3,
        truth_epochs=1,
        ways=WAYS,
        shared_statistics_steps=20,
        resamples=200,
    )
    short = replace(tiny_settings.retrain, warmup_epochs=0.25)
    config = replace(tiny_settings, train=options, rank=ranking, retrain=short)
    config = replace(config, run=str(tmp_path_factory.mktemp("trained") / "run"))
    train.run(config)
    return config


def copy(config, folder):
    """Copy a run and return the configuration of the copy."""
    shutil.copytree(config.run, folder)
    return replace(config, run=str(folder))


@pytest.fixture
def trained(trained_once, tmp_path):
    return copy(trained_once, tmp_path / "run")


@pytest.fixture(scope="module")
def ranked(trained_once, tmp_path_factory):
    """Rank without a stop; give the configuration and what was printed."""
    config = copy(trained_once, tmp_path_factory.mktemp("ranked") / "run")
    with redirect_stdout(StringIO()) as printed:
        rank.run(config)
    return config, printed.getvalue()


def result(config):
    return read_json(Path(config.run) / "rank/result.json")


def scores(config):
    return read_rows(Path(config.run) / "rank/scores.jsonl", origin=None)


def test_every_way_is_held_against_the_ground_truth(ranked):
    config, printed = ranked
    found = result(config)
    rows = found["architectures"]
    assert [len(row["truth"]) for row in rows] == [1, 2, 1, 2, 1, 2]
    assert sorted(row["madds"] for row in rows) == [row["madds"] for row in rows]
    kinds = {(row["way"], row["form"]) for row in found["table"]}
    assert {("madds", "baseline"), ("params", "baseline"), ("single", "checkpoint")} <= kinds
    assert {(way, form) for way in ("tail", "none") for form in ("parameters", "scores")} <= kinds
    networks = {("finetune-3", "network"), ("probe-40", "network")}
    assert networks | {("ema-0.9", "parameters")} <= kinds
    assert ("truth, seed to seed", "ceiling") in kinds
    accuracy = vectors(scores(config), 6, "accuracy")
    means = [np.mean(row["truth"]) for row in rows]
    for row in found["table"]:
        if row["form"] in ("parameters", "network") and row["measure"] == "accuracy":
            value = tau(accuracy[row["way"], "mean", row["statistics"]], np.array(means))
            assert row["tau"] == pytest.approx(value)
            assert row["tau_low"] <= value <= row["tau_high"]
    assert "Agreement with training from scratch" in printed
    assert not (Path(config.run) / "rank/chains").exists() or not list(
        (Path(config.run) / "rank/chains").iterdir()
    )
    with pytest.raises(StageCompleteError):
        rank.run(config)


def test_the_first_scores_are_those_of_the_search(trained):
    """The trained weights, recalibrated, give what `search.score single` would see."""
    config = replace(trained, rank=replace(trained.rank, ways=("single",)))
    rank.run(config)
    task = prepare(config)
    single = replace(config, search=replace(config.search, score="single"))
    score = scoring_of_search(single, task)
    known = vectors(scores(config), 6, "accuracy")["single", "trained", "own"]
    genotypes = architectures(config, task)
    assert known.tolist() == [evaluation.accuracy for evaluation in score(genotypes)]


def scoring_of_search(config, task):
    from stnas.learn.scoring import scorer

    return scorer(config, task, RunFolder(config), split=task.dataset.validation)


class KilledError(Exception):
    """Stands for a kill."""


def test_a_stopped_ranking_goes_on_to_the_same_figures(trained, ranked, monkeypatch, results_of):
    for owner, name in ((truth.Fit, "epoch_"), (scoring, "evaluate_path"), (Bench, "_both")):
        original, calls = getattr(owner, name), []

        def stopping(*words, original=original, calls=calls, **more):
            calls.append(1)
            if len(calls) == 4:
                raise KilledError
            return original(*words, **more)

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, stopping)
            with pytest.raises(KilledError):
                rank.run(trained)
    rank.run(trained)
    first, second = (results_of(Path(config.run)) for config in (ranked[0], trained))
    assert first["rank/result.json"] == second["rank/result.json"]
    assert first["rank/scores.jsonl"] == second["rank/scores.jsonl"]


def test_other_ways_and_seeds_are_added_without_repeating_what_is_known(trained, monkeypatch):
    few = replace(trained, rank=replace(trained.rank, ways=("single", "none"), truth_seeds=1))
    rank.run(few)
    before = scores(few)
    monkeypatch.setattr(truth.Truth, "_train_", lambda *_: pytest.fail("trained again"))
    more = replace(few, rank=replace(few.rank, ways=("single", "none", "tail"), bands=2))
    rank.run(more)
    assert scores(more)[: len(before)] == before
    assert len(scores(more)) == len(before) + 2
    assert {row["way"] for row in result(more)["table"]} >= {"tail", "none"}


def test_runs_share_the_trainings_of_one_folder(trained, tmp_path, monkeypatch):
    folder = str(tmp_path / "truth")
    first = replace(trained, rank=replace(trained.rank, truth=folder, ways=("single",)))
    first = replace(first, data=replace(first.data, split_seed=0), run=str(tmp_path / "first"))
    train.run(first)
    rank.run(first)
    monkeypatch.setattr(truth.Truth, "_train_", lambda *_: pytest.fail("trained again"))
    second = replace(first, seed=9, run=str(tmp_path / "second"))
    train.run(second)
    rank.run(second)
    assert [row["truth"] for row in result(first)["architectures"]] == [
        row["truth"] for row in result(second)["architectures"]
    ]
    assert scores(first) != scores(second)


def test_a_training_that_another_process_has_in_hand_is_left_to_it(trained, tmp_path):
    config = replace(trained, rank=replace(trained.rank, truth=str(tmp_path / "truth")))
    task = prepare(config)
    ground = truth.Truth(config, task, architectures(config, task))
    lock = ground.folder / f".{ground._file(ground.trainings[0]).stem}.lock"
    with truth.claimed(lock) as free:
        assert free
        with truth.claimed(lock) as again:
            assert not again
    assert not lock.exists()


@pytest.mark.parametrize(
    ("ways", "message"),
    [
        (("ema-0.99",), r"rank\.ways ema-0\.99 needs 0\.99 in train\.ema"),
        (("tail",), r"rank\.ways tail needs train\.checkpoints of 2 or more"),
    ],
)
def test_a_way_without_its_files_is_refused(tiny_config, ways, message):
    options = replace(tiny_config.train, checkpoints=1)
    config = replace(tiny_config, train=options, rank=RankConfig(ways=ways))
    with pytest.raises(ValueError, match=message):
        rank.run(config)


def test_several_processes_are_refused(trained, monkeypatch):
    monkeypatch.setattr(rank.stage, "current", lambda: ProcessGroup(0, 2))
    with pytest.raises(ValueError, match=r"works in one process, got 2: start it without torchrun"):
        rank.run(trained)


def test_a_chain_that_diverges_leaves_the_other_ways(trained, capsys):
    ways = ("single", "none@1e30", "tail")
    rank.run(replace(trained, rank=replace(trained.rank, ways=ways)))
    found = result(trained)
    assert list(found["failed"]) == ["none@1e30"]
    assert "st1-" in found["failed"]["none@1e30"]
    assert {"single", "tail"} <= {row["way"] for row in found["table"]}
    assert "no scores by none@1e30" in capsys.readouterr().out.replace("\n", " ")
    assert not list((Path(trained.run) / "rank/chains").iterdir())
