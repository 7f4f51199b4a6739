"""Scores depend on the genotype alone, and a stopped search goes on as if it had not."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stnas import search, sgld, train
from stnas.engine.evaluation import evaluate
from stnas.engine.files import load_weights_
from stnas.engine.images import evaluation_batches
from stnas.engine.materials import build_supernet, prepare
from stnas.engine.scoring import calibrated, recalibration_images, scorer


@pytest.fixture
def sampled(tiny_config):
    train.run(tiny_config)
    sgld.run(tiny_config)
    return tiny_config


def score_of(config):
    materials = prepare(config)
    split = materials.dataset.validation
    return materials, scorer(config, materials, Path(config.run), split=split)


@pytest.mark.parametrize("way", ["param_avg", "score_avg", "single"])
def test_a_score_does_not_depend_on_what_was_scored_before(sampled, way):
    config = replace(sampled, search=replace(sampled.search, score=way))
    materials, score = score_of(config)
    genotypes = materials.space.sample(4, p_drop=0.4, seed=0)
    forth = [score(genotype) for genotype in genotypes]
    back = [score(genotype) for genotype in genotypes[::-1]][::-1]
    assert forth == back
    assert score_of(config)[1](genotypes[2]) == forth[2]


def test_the_score_average_is_the_mean_over_the_samples(sampled):
    config = replace(sampled, search=replace(sampled.search, score="score_avg"))
    materials, score = score_of(config)
    genotype = materials.space.sample(1, p_drop=0.4, seed=0)[0]
    images = recalibration_images(config, materials)
    held_out = evaluation_batches(
        materials.dataset, materials.dataset.validation, size=config.search.evaluation_batch
    )
    accuracies = []
    for k in range(3):
        supernet = build_supernet(config, materials.space)
        load_weights_(supernet, Path(config.run) / f"sgld/sample-{k:03d}.safetensors")
        accuracies.append(evaluate(calibrated(supernet, genotype, images), held_out).accuracy)
    assert score(genotype).accuracy == pytest.approx(sum(accuracies) / 3, abs=1e-12)


def test_a_stopped_search_goes_on_to_the_same_result(sampled, monkeypatch, tmp_path):
    search.run(sampled)
    run = tmp_path / "run"
    whole = {n: (run / "search" / n).read_text() for n in ("archive.jsonl", "front.json")}
    chosen = json.loads((run / "search/result.json").read_text())["choices"]
    (run / "search").rename(run / "whole")

    original, calls = search.stage.Ledger.evaluate, []

    def stopping(self, genotype, generation):
        calls.append(generation)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return original(self, genotype, generation)

    with monkeypatch.context() as patch:
        patch.setattr(search.stage.Ledger, "evaluate", stopping)
        with pytest.raises(KeyboardInterrupt):
            search.run(sampled)
    archive = run / "search/archive.jsonl"
    assert len(archive.read_text().splitlines()) == 6
    with archive.open("a") as file:
        file.write('{"genotype": "torn')
    search.run(sampled)
    assert {n: (run / "search" / n).read_text() for n in whole} == whole
    assert json.loads((run / "search/result.json").read_text())["choices"] == chosen


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
