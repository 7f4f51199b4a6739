"""Scores depend on the genotype alone, and a stopped search goes on as if it had not."""

import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from stnas import search, sgld, train
from stnas.data.epochs import evaluation_batches
from stnas.learn.evaluation import evaluate
from stnas.learn.scoring import recalibration_images, scorer, shared_weights
from stnas.learn.task import build_supernet, prepare
from stnas.search.evaluator import Evaluator
from stnas.store.run_folder import RunFolder
from stnas.store.tensors import load_weights_
from stnas.supernet import Trie


@pytest.fixture
def sampled(tiny_config):
    train.run(tiny_config)
    sgld.run(tiny_config)
    return tiny_config


def score_of(config):
    task = prepare(config)
    split = task.dataset.validation
    return task, scorer(config, task, RunFolder(config), split=split)


@pytest.mark.parametrize("way", ["param_avg", "score_avg", "single"])
def test_a_score_does_not_depend_on_what_was_scored_before(sampled, way):
    config = replace(sampled, search=replace(sampled.search, score=way))
    task, score = score_of(config)
    genotypes = task.space.sample(4, p_drop=0.4, seed=0)
    together = score(genotypes)
    assert score(genotypes[::-1])[::-1] == together
    assert [score(genotype[None])[0] for genotype in genotypes] == together
    assert score_of(config)[1](genotypes[2:3]) == together[2:3]


def test_the_score_average_is_the_mean_over_the_samples(sampled, calibrated):
    config = replace(sampled, search=replace(sampled.search, score="score_avg"))
    task, score = score_of(config)
    genotype = task.space.sample(1, p_drop=0.4, seed=0)[0]
    images = recalibration_images(config, task)
    held_out = evaluation_batches(
        task.dataset, task.dataset.validation, size=config.search.evaluation_batch
    )
    alone = []
    for k in range(3):
        supernet = build_supernet(config, task.space)
        load_weights_(supernet, Path(config.run) / f"sgld/sample-{k:03d}.safetensors")
        alone.append(evaluate(calibrated(supernet, genotype, images), held_out))
    (result,) = score(genotype[None])
    assert result.accuracy == pytest.approx(sum(one.accuracy for one in alone) / 3, rel=1e-15)
    assert result.loss == pytest.approx(sum(one.loss for one in alone) / 3, rel=1e-15)
    bounded = replace(config, search=replace(config.search, bound=2.0))
    (low,) = score_of(bounded)[1](genotype[None])
    for name, sign in (("accuracy", -1), ("loss", 1)):
        values = [getattr(one, name) for one in alone]
        expected = np.mean(values) + sign * 2 * np.std(values, ddof=1)
        assert getattr(low, name) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "samples", "message"),
    [
        ({"bound": 1.0}, 3, r"search\.score must be score_avg with search\.bound"),
        ({"bound": -1.0, "score": "score_avg"}, 3, r"search\.bound must be a finite number of 0"),
        ({"bound": 1.0, "score": "score_avg"}, 1, r"sgld\.samples with search\.bound must be 2"),
    ],
)
def test_a_bound_needs_samples(tiny_config, options, samples, message):
    with pytest.raises(ValueError, match=message):
        replace(
            tiny_config,
            search=replace(tiny_config.search, **options),
            sgld=replace(tiny_config.sgld, samples=samples),
        )


def files(run):
    return {n: (run / "search" / n).read_text() for n in ("archive.jsonl", "front.json")}


def test_a_stopped_search_goes_on_to_the_same_result(sampled, monkeypatch, tmp_path):
    search.run(sampled)
    run = tmp_path / "run"
    whole = files(run)
    chosen = json.loads((run / "search/result.json").read_text())["choices"]
    (run / "search").rename(run / "whole")

    original, calls = Trie.logits, []

    def stopping(self, images):
        calls.append(len(self.leaves))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, images)

    with monkeypatch.context() as patch:
        patch.setattr(Trie, "logits", stopping)
        with pytest.raises(KeyboardInterrupt):
            search.run(sampled)
    assert calls == [4, 4]
    archive = run / "search/archive.jsonl"
    assert len(archive.read_text().splitlines()) == 4
    with archive.open("a") as file:
        file.write('{"genotype": "torn')
    search.run(sampled)
    assert files(run) == whole
    assert json.loads((run / "search/result.json").read_text())["choices"] == chosen


def test_what_is_in_the_archive_is_not_scored_again(sampled, tmp_path):
    task, score = score_of(sampled)
    genotypes = list(task.space.sample(5, p_drop=0.3, seed=1))
    scored = []

    def counting(rows, **more):
        scored.append(len(rows))
        return score(rows, **more)

    def evaluated(count):
        """Score some genotypes with the archive that is there; return what they got."""
        found = Evaluator(tmp_path / "a.jsonl", task.space, counting, Mock(), origin="x")
        return [(c.madds, c.accuracy, c.loss) for c in found.evaluate(genotypes[:count], 0)]

    first = evaluated(3)
    assert evaluated(3) == first
    assert evaluated(5)[:3] == first
    assert scored == [3, 2]


@pytest.mark.parametrize("kept", [0, 1, 3, 6, 11])
def test_rows_of_a_part_of_a_generation_are_gone_on_from(sampled, tmp_path, kept):
    search.run(sampled)
    run = tmp_path / "run"
    whole = files(run)
    for name in ("result.json", "front.json"):
        (run / "search" / name).unlink()
    lines = whole["archive.jsonl"].splitlines(keepends=True)
    (run / "search/archive.jsonl").write_text("".join(lines[:kept]))
    search.run(sampled)
    assert files(run) == whole


def test_a_search_writes_what_scoring_each_alone_gives(sampled, tmp_path, calibrated):
    search.run(sampled)
    task = prepare(sampled)
    images = recalibration_images(sampled, task)
    size = sampled.search.evaluation_batch
    held_out = evaluation_batches(task.dataset, task.dataset.validation, size=size)
    (supernet,) = shared_weights(sampled, task, RunFolder(sampled))
    for row in map(json.loads, files(tmp_path / "run")["archive.jsonl"].splitlines()):
        genotype = task.space.parse(row["genotype"])
        alone = evaluate(calibrated(supernet, genotype, images), held_out)
        assert (row["accuracy"], row["loss"]) == (alone.accuracy, alone.loss)


def test_the_archive_holds_what_the_space_counts(sampled, tmp_path):
    search.run(sampled)
    space = prepare(sampled).space
    lines = (tmp_path / "run/search/archive.jsonl").read_text().splitlines()
    assert len(lines) == 12
    for row in map(json.loads, lines):
        genotype = space.parse(row["genotype"])
        assert row["madds"] == int(space.madds(genotype[None])[0])
        assert row["params"] == int(space.params(genotype[None])[0])
        assert 0 <= row["accuracy"] <= 1


def test_a_search_says_how_well_windows_are_covered_and_what_chance_gives(sampled, capsys):
    config = replace(
        sampled, search=replace(sampled.search, limits=(40_000.0, 250_000.0), params_min=2000)
    )
    search.run(config)
    run = Path(config.run)
    result = json.loads((run / "search/result.json").read_text())
    assert result["random"]["evaluated"] == result["evaluated"] == 12
    drawn = [json.loads(line) for line in (run / "search/random.jsonl").read_text().splitlines()]
    assert len({row["genotype"] for row in drawn}) == 12
    assert 0 <= result["random"]["hypervolume"] <= 1
    archive = [json.loads(line) for line in files(run)["archive.jsonl"].splitlines()]
    for window in result["windows"]:
        inside = [row for row in archive if window["low"] <= row["madds"] <= window["limit"]]
        assert window["evaluated"] == len(inside)
    (missed,) = result["unmet"]
    out = " ".join(capsys.readouterr().out.split())
    assert missed["limit"] == 40_000.0
    assert missed["reason"] in out
    assert f"hypervolume {result['hypervolume']:.4f} of 12 candidates" in out


def test_a_search_without_random_candidates_scores_none(sampled):
    search.run(replace(sampled, search=replace(sampled.search, random=0)))
    assert not (Path(sampled.run) / "search/random.jsonl").exists()


@pytest.mark.parametrize("measure", ["loss", "accuracy"])
def test_the_front_and_the_choice_follow_the_measure(sampled, measure):
    search.run(replace(sampled, search=replace(sampled.search, measure=measure)))
    run = Path(sampled.run)
    front = json.loads(files(run)["front.json"])["front"]
    sign = {"loss": 1, "accuracy": -1}[measure]
    values = [sign * row[measure] for row in front]
    assert values == sorted(values, reverse=True)
    archive = [json.loads(line) for line in files(run)["archive.jsonl"].splitlines()]
    for choice in json.loads((run / "search/result.json").read_text())["choices"]:
        under = [row for row in archive if row["madds"] <= choice["limit"]]
        assert sign * choice[measure] == min(sign * row[measure] for row in under)
