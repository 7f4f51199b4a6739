"""The verdict: resuming anywhere to the same result, shared trainings, and who is chosen."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from stnas import retrain, search, sgld, train, verdict
from stnas.config import VerdictConfig
from stnas.learn import network_fit
from stnas.learn.network_fit import Fit
from stnas.learn.task import prepare
from stnas.store import files, tensors
from stnas.store.run_folder import StageCompleteError

LIMITS = (60_000.0, 120_000.0)


@pytest.fixture(scope="module")
def searched(tiny_settings, tmp_path_factory):
    """Give a run that is searched, for tests to copy."""
    options = replace(tiny_settings.search, limits=LIMITS, random=0)
    own = VerdictConfig(candidates=4, reduction=2, epochs=2)
    run = str(tmp_path_factory.mktemp("searched") / "run")
    config = replace(tiny_settings, run=run, search=options, verdict=own)
    for stage in (train, sgld, search):
        stage.run(config)
    return config


@pytest.fixture
def config(searched, tmp_path):
    shutil.copytree(searched.run, tmp_path / "run")
    return replace(searched, run=str(tmp_path / "run"))


def result(config, stage="verdict"):
    return json.loads((Path(config.run) / stage / "result.json").read_text())


def told(config):
    """Return what a verdict found, without times and the digests of files that hold some."""
    found = result(config)
    rows = [{n: v for n, v in row.items() if n != "seconds"} for row in found["judged"]]
    return {**found, "judged": rows, "seconds": 0, "checksum": "", "files": {}}


def with_verdict(config, **options):
    return replace(config, verdict=replace(config.verdict, **options))


def test_half_of_the_field_goes_on_and_the_best_of_the_last_rung_is_chosen(config):
    verdict.run(config)
    found = result(config)
    assert found["ends"] == [1, 2]
    by_rung = [{r["genotype"]: r for r in found["judged"] if r["rung"] == rung} for rung in (0, 1)]
    best = {}
    for contest in found["candidates"]:
        names = [row["genotype"] for row in contest["ranking"]]
        assert len(names) == 4
        went_on = sorted(names, key=lambda name: by_rung[0][name]["loss"])[:2]
        assert set(names[:2]) == set(went_on) <= set(by_rung[1])
        assert by_rung[1][names[0]]["loss"] <= by_rung[1][names[1]]["loss"]
        assert all(row["madds"] <= contest["limit"] for row in contest["ranking"])
        best[contest["limit"]] = names[0]
    assert all(row["epochs"] == rung + 1 for rung in (0, 1) for row in by_rung[rung].values())
    for choice in found["choices"]:
        assert choice["genotype"] == best[choice["limit"]]
        assert choice["verdict_loss"] == by_rung[1][choice["genotype"]]["loss"]
    given = {row["limit"] for row in (*found["choices"], *found["unmet"])}
    assert given == set(LIMITS)


def test_a_verdict_that_is_killed_at_every_file_ends_the_same(config, monkeypatch):
    config = with_verdict(config, candidates=3)
    verdict.run(config)
    whole, folder = told(config), Path(config.run) / "verdict"
    kept = {file.relative_to(folder) for file in folder.rglob("*")}
    shutil.rmtree(folder)
    original, passed, kills = files.write_whole, {}, []

    def killing(path, content, **options):
        if path.parent.parent != folder:
            return original(path, content, **options)
        passed[path] = passed.get(path, 0) + 1
        if passed[path] % 3 == 1:
            raise KeyboardInterrupt
        original(path, content, **options)
        if passed[path] % 3 == 2:
            kills.append(path)
            raise KeyboardInterrupt
        return None

    with monkeypatch.context() as patch:
        for module in (files, tensors):
            patch.setattr(module, "write_whole", killing)
        for _ in range(400):
            try:
                verdict.run(config)
            except KeyboardInterrupt:
                continue
            break
    assert len(kills) > len(whole["judged"]) > 6
    assert told(config) == whole
    assert {file.relative_to(folder) for file in folder.rglob("*")} == kept
    assert not list(folder.rglob("state*"))


def test_a_damaged_rung_is_trained_again_to_the_same(config, capsys):
    verdict.run(config)
    whole, folder = told(config), Path(config.run) / "verdict"
    (folder / "result.json").unlink()
    first = sorted(folder.rglob("rung-0.json"))[0]
    first.write_text(first.read_text().replace("accuracy", "accurate"))
    verdict.run(config)
    assert f"{first} is damaged" in " ".join(capsys.readouterr().out.split())
    assert told(config) == whole


def test_processes_share_the_trainings_to_the_result_of_one(config, in_processes, tmp_path):
    shutil.copytree(config.run, tmp_path / "two")
    verdict.run(config)
    two = replace(config, run=str(tmp_path / "two"))

    def work(group):
        fitted = []
        original = Fit.run

        def counting(self, *words, **options):
            fitted.append(self.name)
            return original(self, *words, **options)

        Fit.run = counting
        verdict.run(two)
        return fitted

    shares = in_processes(2, work, timeout=120)
    assert all(isinstance(share, list) and share for share in shares), shares
    assert len(shares[0]) + len(shares[1]) == len(result(config)["judged"])
    assert told(two) == told(config)


def test_test_images_take_no_part(config, monkeypatch):
    dataset = prepare(config).dataset
    original, seen = network_fit.evaluation_batches, []

    def watched(found, split, **options):
        seen.append(len(split))
        return original(found, split, **options)

    monkeypatch.setattr(network_fit, "evaluation_batches", watched)
    verdict.run(config)
    assert set(seen) == {len(dataset.validation)} != {len(dataset.test)}


def test_retraining_takes_the_winners(config):
    verdict.run(config)
    retrain.run(config)
    chosen = [n for n in result(config, "retrain")["networks"] if n["role"] == "chosen"]
    names = [(n["name"], n["genotype"]) for n in chosen]
    assert names == [(c["name"], c["genotype"]) for c in result(config)["choices"]]


def test_retraining_waits_for_the_verdict_and_does_without_one(config):
    with pytest.raises(FileNotFoundError, match="run `stnas verdict --run"):
        retrain.run(config)
    without = with_verdict(config, candidates=0)
    with pytest.raises(ValueError, match=r"verdict\.candidates must be 1 or more.*leave this"):
        verdict.run(without)
    retrain.run(without)
    chosen = [n for n in result(config, "retrain")["networks"] if n["role"] == "chosen"]
    searched = [c["genotype"] for c in result(config, "search")["choices"]]
    assert [n["genotype"] for n in chosen] == searched


def test_one_candidate_needs_no_training(config):
    verdict.run(with_verdict(config, candidates=1))
    found = result(config)
    assert found["judged"] == []
    assert [c["verdict_loss"] for c in found["choices"]] == [None] * len(found["choices"])
    assert not list((Path(config.run) / "verdict").rglob("rung-*"))


def test_a_limit_without_candidates_says_why(tiny_config, capsys):
    options = replace(tiny_config.search, limits=(40_000.0, 120_000.0), random=0, params_min=2000)
    config = replace(tiny_config, search=options, verdict=VerdictConfig(candidates=2, epochs=1))
    for stage in (train, sgld, search, verdict):
        stage.run(config)
    (missed,) = result(config)["unmet"]
    assert missed["limit"] == 40_000.0
    out = " ".join(capsys.readouterr().out.split())
    assert "verdict: limit 40,000: the smallest of 12 candidates has" in out
    assert [choice["name"] for choice in result(config)["choices"]] == ["A"]


def test_other_twins_and_hand_made_networks_train_no_candidate_again(config, monkeypatch):
    verdict.run(config)
    whole = told(config)
    more = replace(config.retrain, random_twins=2, baselines=("separable",))
    monkeypatch.setattr(Fit, "run", lambda *_, **__: pytest.fail("nothing is to be trained"))
    with pytest.raises(StageCompleteError, match="verdict is complete"):
        verdict.run(replace(config, retrain=more))
    assert told(config) == whole


def test_another_limit_trains_the_candidates_that_are_not_known_alone(config, monkeypatch):
    verdict.run(config)
    known = {row["genotype"] for row in result(config)["judged"]}
    wider = replace(config, search=replace(config.search, limits=(60_000.0, 90_000.0)))
    search.run(wider)
    original, fitted = Fit.run, []

    def counting(self, *words, **options):
        fitted.append(self.name)
        return original(self, *words, **options)

    monkeypatch.setattr(Fit, "run", counting)
    verdict.run(wider)
    assert {row["limit"] for row in result(config)["candidates"]} == {60_000.0, 90_000.0}
    judged = [(row["genotype"], row["rung"]) for row in result(config)["judged"]]
    assert len(fitted) < len(judged)
    assert not [name for name in fitted if name in known and (name, 1) not in judged]


def test_the_models_of_a_verdict_are_written_down_and_resumed_alike(config):
    config = with_verdict(config, candidates=9, rounds=2)
    verdict.run(config)
    whole = told(config)
    fields = [(len(contest["ranking"]), contest["models"]) for contest in whole["candidates"]]
    assert [[model["trained"] for model in models] for _, models in fields] == [
        [count] if count >= 8 else [] for count, _ in fields
    ]
    assert any(model["error"] > 0 for _, models in fields for model in models)
    folder = Path(config.run) / "verdict"
    (folder / "result.json").unlink()
    trained = sorted(folder.glob("st1-*"))
    shutil.rmtree(trained[0])
    verdict.run(config)
    assert told(config) == whole
