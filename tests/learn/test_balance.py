"""Training on unequal classes: weights and resampling, resumed and shared out as all training."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stnas import retrain, search, sgld, train, verdict
from stnas.config import DataConfig
from stnas.data.epochs import training_batches
from stnas.learn.gradients import Parts, mean_gradients_
from stnas.learn.task import prepare
from stnas.store.files import read_json, read_rows
from stnas.store.tensors import read_tensors
from stnas.train import stage

WAYS = ("none", "weights", "resampling")


@pytest.fixture
def unequal(tmp_path_factory):
    """Write 12x12 images of three classes of 200, 40 and 12, told apart by a bright third."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("unequal") / "set.npz"
    labels = np.repeat(np.arange(3), (200, 40, 12))
    images = rng.integers(0, 160, (len(labels), 12, 12), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 * label : 4 * label + 4] += 40
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    return path


def configured(config, path, balance, **more):
    data = DataConfig(path=str(path), balance=balance, flip=False, crop_padding=0)
    return replace(config, data=data, **more)


def weights(config):
    return read_tensors(Path(config.run) / "train/weights.safetensors")[0]


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("balance", WAYS[1:])
def test_a_stopped_training_ends_as_one_that_was_not(
    unequal, balance, tiny_config, tmp_path, monkeypatch
):
    config = configured(tiny_config, unequal, balance)
    whole = replace(config, run=str(tmp_path / "whole"))
    train.run(whole)
    original, calls = stage.train_epoch_, []

    def once(*words, **more):
        calls.append(more["epoch"])
        if calls == [0, 1]:
            raise StoppedError
        original(*words, **more)

    monkeypatch.setattr(stage, "train_epoch_", once)
    with pytest.raises(StoppedError):
        train.run(config)
    train.run(config)
    assert same(weights(config), weights(whole))
    plain = configured(tiny_config, unequal, "none", run=str(tmp_path / "plain"))
    train.run(plain)
    assert not same(weights(plain), weights(whole))


@pytest.mark.parametrize("streamed", [False, True])
def test_batches_of_a_resampled_epoch_can_be_entered_and_shared_out(
    unequal, tiny_config, tiny_photographs, streamed
):
    config = configured(tiny_config, unequal, "resampling")
    if streamed:
        own = DataConfig(
            path=str(tiny_photographs), backend="pillow", image_size=16, balance="resampling"
        )
        config = replace(config, data=own)
    data = prepare(config).dataset
    options = {"config": config, "purpose": "augment", "seed": 5, "epoch": 1, "size": 6}
    whole = list(training_batches(data, data.train, **options))
    later = list(training_batches(data, data.train, start=2, **options))
    ranks = [list(training_batches(data, data.train, rank=r, world=2, **options)) for r in (0, 1)]
    joined = [tuple(map(torch.cat, zip(*pair, strict=True))) for pair in zip(*ranks, strict=True)]
    for found, expected in ((later, whole[2:]), (joined, whole)):
        for (images, labels), (others, numbers) in zip(found, expected, strict=True):
            assert torch.equal(images, others)
            assert torch.equal(labels, numbers)
    counts = torch.cat([labels for _, labels in whole]).bincount(minlength=3)
    assert counts.max() - counts.min() <= 7  # Whole batches leave out less than one of 6 images.


def test_weights_are_factors_of_the_loss_whatever_the_parts():
    torch.manual_seed(0)
    layer, factors = torch.nn.Linear(5, 3, dtype=torch.float64), torch.tensor([0.5, 1.0, 4.0])
    images, labels = torch.randn(8, 5, dtype=torch.float64), torch.arange(8) % 3
    each = torch.nn.functional.cross_entropy(layer(images), labels, reduction="none")
    expected = torch.autograd.grad((each * factors[labels]).mean(), layer.weight)[0]
    for count in (1, 2, 4):
        layer.zero_grad()
        outcome = mean_gradients_(
            list(layer.parameters()),
            lambda _, own: layer(own),
            images,
            labels,
            parts=Parts(count, range(count)),
            weights=factors,
        )
        torch.testing.assert_close(layer.weight.grad, expected)
        assert outcome.loss == pytest.approx((each * factors[labels]).mean().item())


@pytest.mark.parametrize("balance", WAYS)
def test_a_run_tells_balanced_accuracy_and_recalls(unequal, balance, tiny_config, capsys):
    config = configured(tiny_config, unequal, balance)
    options = {"measure": "balanced_accuracy"}
    config = replace(
        config,
        search=replace(config.search, **options),
        verdict=replace(config.verdict, candidates=2, **options),
    )
    for each in (train, sgld, search):
        each.run(config)
    said = capsys.readouterr().out
    assert "fewest: 1 of 2" in said
    assert ("the classes are unequal, 200 of 0 and 12 of 2" in said) == (balance == "none")
    archive = read_rows(Path(config.run) / "search/archive.jsonl", origin=None)
    assert all(0 <= row["balanced_accuracy"] <= 1 for row in archive)
    verdict.run(config)
    judged = read_json(Path(config.run) / "verdict/result.json")["judged"]
    assert all(0 <= row["balanced_accuracy"] <= 1 for row in judged)
    retrain.run(config)
    for network in read_json(Path(config.run) / "retrain/result.json")["networks"]:
        counts = np.array([200, 40, 12]) * np.array(network["test_recalls"])
        assert network["test_accuracy"] == pytest.approx(counts.sum() / 252)
        assert network["test_balanced_accuracy"] == pytest.approx(np.mean(network["test_recalls"]))
