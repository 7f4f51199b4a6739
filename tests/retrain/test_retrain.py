"""Retraining: the schedule, the random twins, resuming, and the network that comes out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import stnas
from stnas import retrain, search, sgld, train
from stnas.data.epochs import evaluation_batches
from stnas.learn.evaluation import evaluate
from stnas.learn.network_optimiser import learning_rate
from stnas.learn.task import prepare
from stnas.retrain.plan import random_twins, shortfalls
from stnas.store.tensors import read_tensors


@pytest.fixture
def searched(tiny_config):
    for stage in (train, sgld, search):
        stage.run(tiny_config)
    return tiny_config


def networks(config):
    result = json.loads((Path(config.run) / "retrain/result.json").read_text())
    return {network["name"]: network for network in result["networks"]}


def test_choices_and_twins_are_trained_and_come_back_from_disk(searched):
    retrain.run(searched)
    task = prepare(searched)
    held = evaluation_batches(task.dataset, task.dataset.test, size=512)
    for name, network in networks(searched).items():
        assert network["role"] == ("random" if "random" in name else "chosen")
        assert len(network["history"]) == 2
        loaded = stnas.load_network(Path(searched.run) / "retrain" / name)
        assert not loaded.training
        assert evaluate(loaded, held).accuracy == network["test_accuracy"]
        assert task.space.format(loaded.genotype) == network["genotype"]
    assert {"A", "A-random-1"} <= set(networks(searched))


def test_a_stopped_stage_goes_on_to_the_same_networks(searched, at_states):
    retrain.run(searched)
    folder = Path(searched.run) / "retrain"
    whole = networks(searched)
    folder.rename(folder.with_name("whole"))

    def stop(_, number):
        if number == 3:
            raise KeyboardInterrupt

    with at_states(stop), pytest.raises(KeyboardInterrupt):
        retrain.run(searched)
    retrain.run(searched)
    for name, network in networks(searched).items():
        assert {k: v for k, v in network.items() if k != "seconds"} == {
            k: v for k, v in whole[name].items() if k != "seconds"
        }
        file = f"{name}/network.safetensors"
        old, new = (read_tensors(folder.with_name(n) / file)[0] for n in ("whole", "retrain"))
        assert all(torch.equal(old[key], value) for key, value in new.items())
    assert not list(folder.rglob("state.safetensors"))


def test_statistics_are_at_last_the_mean_over_one_more_pass(searched):
    options = {"random_twins": 0, "learning_rate": 1e-9}  # The weights stay what they were.
    found = {}
    for recalibrate in (False, True):
        config = replace(
            searched, retrain=replace(searched.retrain, recalibrate=recalibrate, **options)
        )
        retrain.run(config)
        name = sorted((Path(searched.run) / "retrain").glob("A*"))[-1].name
        found[recalibrate] = stnas.load_network(Path(searched.run) / "retrain" / name)
    plain, anew = (found[own].stem.norm for own in (False, True))
    steps = 480 // searched.retrain.batch_size
    assert int(plain.num_batches_tracked) == 2 * steps
    assert int(anew.num_batches_tracked) == steps
    assert anew.momentum == plain.momentum
    left = 0.9 ** (2 * steps)  # Of the variance of 1 that the moving average begins with.
    torch.testing.assert_close(
        plain.running_mean / (1 - left), anew.running_mean, rtol=0.2, atol=2e-2
    )


def test_twins_have_nearly_the_same_multiply_adds_and_are_others():
    space = stnas.SearchSpace.profile("micro")
    genotype = space.sample(1, p_drop=0.6, seed=5)[0]
    twins = random_twins(space, space.format(genotype), 3, seed=0)
    target = int(space.madds(genotype[None])[0])
    assert len(twins) == 3
    for twin in twins:
        assert abs(int(space.madds(twin[None])[0]) / target - 1) < 0.005
        assert (twin != genotype).any()
    again = random_twins(space, space.format(genotype), 3, seed=0)
    assert all((a == b).all() for a, b in zip(twins, again, strict=True))


@pytest.mark.parametrize("row", range(8))
def test_no_twin_is_the_choice_itself(row):
    """All networks of this space are drawn, and the choice has its own multiply-adds exactly."""
    space = stnas.SearchSpace.profile(
        "nano", stages=(2, 2), widths=(4, 4), kernels=(3,), expands=(1, 3), image_size=8
    )
    genotype = space.sample(8, p_drop=0.3, seed=0)[row]
    twins = random_twins(space, space.format(genotype), 3, seed=0)
    assert len(twins) == 3
    keys = space.canonical(np.stack([genotype, *twins]))
    assert len(set(keys.tolist())) == 4


def test_the_learning_rate_warms_up_and_falls_to_zero(tiny_config):
    options = replace(tiny_config.retrain, epochs=10, warmup_epochs=2, learning_rate=0.8)
    config = replace(tiny_config, retrain=options)
    rates = [learning_rate(config, step, steps=5) for step in range(51)]
    assert rates[0] == pytest.approx(0.08)
    assert rates[9] == rates[10] == pytest.approx(0.8)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[50] == pytest.approx(0)


def test_a_loss_that_is_not_finite_stops_with_its_network_and_step(searched):
    hot = replace(searched.retrain, learning_rate=1e30, warmup_epochs=0.0)
    with pytest.raises(FloatingPointError, match=r"network A is (nan|inf) at step \d+: lower"):
        retrain.run(replace(searched, retrain=hot))


def test_a_folder_without_a_network_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"network\.json is missing: give a folder"):
        stnas.load_network(tmp_path)


def test_twins_are_drawn_until_their_multiply_adds_are_within_two_percent():
    space = stnas.SearchSpace.profile("micro", stem_stride=2)
    own = space.sample(1, p_drop=0.9, seed=2)[0]
    twins = random_twins(space, space.format(own), 20, seed=1)
    target = int(space.madds(own[None])[0])
    assert len(twins) == 20
    assert all(abs(int(space.madds(twin[None])[0]) / target - 1) <= 0.02 for twin in twins)
    assert random_twins(space, space.format(own), 0, seed=1) == []


def test_networks_that_are_not_of_the_size_are_named(searched):
    config = replace(searched, retrain=replace(searched.retrain, random_twins=3))
    row = {"role": "random", "madds": 1000}
    entries = [
        {"name": "A", "role": "chosen", "madds": 1000},
        *({**row, "name": f"A-random-{i}"} for i in (1, 2, 3)),
        {"name": "B", "role": "chosen", "madds": 2000},
        {**row, "name": "B-random-1", "madds": 2080},
    ]
    first, second = shortfalls(config, entries)
    assert "B-random-1 has +4.0 % more madds than B" in first
    assert "B has 1 of 3 random twins: the space holds no more networks" in second


def test_hand_made_networks_are_trained_alike_and_come_back_from_disk(searched):
    options = replace(searched.retrain, random_twins=0, baselines=("separable", "shufflenet_v2"))
    config = replace(searched, retrain=options)
    retrain.run(config)
    found = networks(config)
    dataset = prepare(config).dataset
    held = evaluation_batches(dataset, dataset.test, size=64)
    for kind in options.baselines:
        row = found[f"A-{kind}"]
        assert row["role"] == "baseline"
        assert row["validation_accuracy"] is row["test_accuracy_before"] is None
        assert len(row["history"]) == options.epochs
        loaded = stnas.load_network(Path(config.run) / "retrain" / f"A-{kind}")
        assert evaluate(loaded, held).accuracy == row["test_accuracy"]


@pytest.mark.parametrize("baselines", [("resnet",), ("separable", "separable")])
def test_baselines_are_words_without_repetition(baselines, tiny_config):
    with pytest.raises(ValueError, match=r"retrain\.baselines must be"):
        replace(tiny_config.retrain, baselines=baselines)


def test_networks_that_are_asked_for_are_trained_in_place_of_the_choices(searched):
    space = prepare(searched).space
    wanted = space.format(np.zeros(space.num_genes, np.int8))
    own = replace(searched.retrain, genotypes=(wanted,), random_twins=0)
    asked = replace(searched, retrain=own)
    retrain.run(asked)
    assert {name: row["genotype"] for name, row in networks(asked).items()} == {"G1": wanted}
    assert networks(asked)["G1"]["role"] == "chosen"
    retrain.run(searched)
    assert {"A", "A-random-1"} <= set(networks(searched))
    assert (Path(searched.run) / "retrain/G1/network.json").exists()


def test_a_genotype_of_another_space_is_refused(searched):
    own = replace(searched.retrain, genotypes=("st1-00000000-0000-0000000",))
    with pytest.raises(ValueError, match=r"retrain\.genotypes: .*st1-00000000"):
        retrain.run(replace(searched, retrain=own))
    with pytest.raises(ValueError, match=r"retrain\.genotypes must be without repetition"):
        replace(searched.retrain, genotypes=("a", "a"))
