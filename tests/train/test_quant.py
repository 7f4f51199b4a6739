"""Bits from training to retraining: float steps first, killed runs, and networks beside."""

import json
from dataclasses import replace

import numpy as np
import pytest
from cut_off import archives_of_cut_searches

from stnas import retrain, search, train
from stnas.config import SpaceConfig
from stnas.learn.single_path import SinglePath
from stnas.space import SearchSpace
from stnas.store.files import read_json
from stnas.supernet.blocks.quant import QuantisedBlock
from stnas.supernet.load import load_network

BITS = ("w1a2", "w2a2", "w4a4")


@pytest.fixture
def configured(tiny_config):
    space = SpaceConfig(
        family="quant", profile="resnet14", stages=(1, 1), widths=(4, 8), bits=BITS
    )  # fmt: skip
    base = SearchSpace.profile("resnet14", stages=(1, 1), widths=(4, 8), bits=("w1a1",),
                               image_size=12)  # fmt: skip
    unit = int(base.costs["bitops"](np.zeros((1, 2), np.int8))[0])
    return replace(
        tiny_config,
        kernels="reference",
        space=space,
        train=replace(tiny_config.train, momentum=0.9, learning_rate=0.1, sampling="uniform",
                      p_drop=0.6),
        search=replace(
            tiny_config.search, strategy="spos", score="single", measure="accuracy",
            cost="bitops", population=4, generations=2, random=0, limits=(4 * unit, 16 * unit),
            bitops_max=16 * unit,
        ),
        retrain=replace(tiny_config.retrain, baselines=("uniform_bits",), random_twins=1),
    )  # fmt: skip


def test_a_search_over_bits_ends_with_retrained_networks_and_uniform_ones(configured):
    train.run(configured)
    search.run(configured)
    lines = (configured.folder / "search" / "archive.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert all(row["bitops"] <= configured.search.limits[1] for row in rows)
    retrain.run(configured)
    networks = {
        path.parent.name: read_json(path)
        for path in (configured.folder / "retrain").glob("*/network.json")
    }
    chosen = [name for name in networks if "-" not in name]
    assert chosen
    choices = read_json(configured.folder / "search" / "result.json")["choices"]
    limits = {choice["name"]: choice["limit"] for choice in choices}
    for name in chosen:
        twin = networks[f"{name}-uniform_bits"]
        bits = twin["space"]["bits"][0]
        assert bits[1] == bits[3]
        assert twin["bitops"] == limits[name]
        loaded = load_network(configured.folder / "retrain" / f"{name}-uniform_bits")
        blocks = [own for own in loaded.modules() if isinstance(own, QuantisedBlock)]
        assert [own.bits for own in blocks] == [((int(bits[1]), int(bits[3])),)] * 2


def test_the_first_steps_are_float(configured, monkeypatch):
    seen, forward = [], QuantisedBlock.forward

    def watched(self, x, option=0):
        seen.append(option)
        return forward(self, x, option)

    monkeypatch.setattr(QuantisedBlock, "forward", watched)
    train.run(replace(configured, train=replace(configured.train, float_share=0.25)))
    steps = len(seen) // 2
    float_steps = round(0.25 * steps)
    assert set(seen[: 2 * float_steps]) == {-1}
    assert min(seen[2 * float_steps :]) >= 0
    assert len(set(seen)) == 4


class StoppedError(Exception):
    """The run is cut off."""


def test_a_killed_training_goes_on_to_the_same_bits(configured, tmp_path, monkeypatch, results_of):
    whole = replace(configured, run=str(tmp_path / "whole"), save_every=0.0)
    train.run(whole)
    update, steps = SinglePath.update_, 0

    def cut(self, images, labels, step):
        nonlocal steps
        steps += 1
        if steps == 12:
            raise StoppedError
        return update(self, images, labels, step)

    config = replace(whole, run=str(tmp_path / "cut"))
    monkeypatch.setattr(SinglePath, "update_", cut)
    with pytest.raises(StoppedError):
        train.run(config)
    train.run(config)
    found, wanted = results_of(config.folder), results_of(whole.folder)
    for name in (name for name in wanted if name.endswith(".safetensors")):
        assert found[name] == wanted[name]


def test_a_search_without_bit_operations_says_what_to_set(configured):
    train.run(configured)
    plain = replace(configured.search, cost="madds", limits=None)
    with pytest.raises(ValueError, match=r"search.cost must be bitops .* set --search.cost bitops"):
        search.run(replace(configured, search=plain))


@pytest.mark.parametrize("strategy", ["spos", "nsga2", "random"])
def test_a_search_that_is_cut_off_at_any_generation_comes_to_the_same_archive(strategy, configured):
    configured = replace(configured, search=replace(configured.search, strategy=strategy))
    train.run(configured)
    wanted, *others = archives_of_cut_searches(configured, "archive.jsonl")
    assert others == [wanted] * configured.search.generations
