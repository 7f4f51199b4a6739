"""Scores without recalibration, and fine-tuning that leaves the shared weights alone."""

from dataclasses import replace

import pytest
import torch

from stnas.learn.evaluation import recalibrate_
from stnas.learn.scoring import recalibration_images
from stnas.learn.task import build_supernet, prepare
from stnas.rank.finetuning import finetuned, stop_steps
from stnas.rank.scoring import evaluate_path, observe_


@pytest.fixture
def parts(tiny_config):
    config = replace(tiny_config, search=replace(tiny_config.search, recalibration_batch=32))
    task = prepare(config)
    return config, task, build_supernet(config, task.space)


def test_running_statistics_are_the_mean_over_the_batches_of_many_architectures(parts):
    config, task, supernet = parts
    config = replace(config, rank=replace(config.rank, shared_statistics_steps=5))
    images = recalibration_images(config, task)
    assert len(images) == 3
    before = {name: value.clone() for name, value in supernet.named_parameters()}
    observe_(supernet, images, config=config, task=task)
    convolved = [supernet.stem.convolution(images[i % 3]) for i in range(6)]
    means = torch.stack([value.mean((0, 2, 3)) for value in convolved]).mean(0)
    layer = supernet.stem.norm
    assert int(layer.num_batches_tracked) == 6, "whole passes over the images"
    torch.testing.assert_close(layer.running_mean, means, rtol=1e-4, atol=1e-6)
    for name, value in supernet.named_parameters():
        assert torch.equal(value, before[name])


def test_an_architecture_alone_gives_its_own_statistics(parts, monkeypatch):
    """Where every step takes one architecture, running statistics are recalibrated ones."""
    config, task, supernet = parts
    genotype = task.sampler.genotype(0)
    monkeypatch.setattr(type(task.sampler), "genotype", lambda *_: genotype)
    images = recalibration_images(config, task)
    config = replace(config, rank=replace(config.rank, shared_statistics_steps=len(images)))
    network = supernet.extract(genotype)
    recalibrate_(network, images)
    observe_(supernet, images, config=config, task=task)
    expected, found = network(images[0]), supernet(images[0], genotype)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    labels = expected.argmax(1)
    assert evaluate_path(supernet, genotype, [(images[0], labels)]).accuracy == 1


def test_fine_tuning_goes_from_the_shared_weights_and_leaves_them(parts):
    config, task, supernet = parts
    genotype = task.sampler.genotype(3)
    before = {name: value.clone() for name, value in supernet.named_parameters()}
    rate = replace(config, rank=replace(config.rank, finetune_learning_rate=0.1))
    options = {"config": rate, "task": task}
    stops = {
        step: {name: value.clone() for name, value in network.named_parameters()}
        for step, network in finetuned(supernet, genotype, [1, 4], **options)
    }
    assert list(stops) == [1, 4]
    for name, value in supernet.named_parameters():
        assert torch.equal(value, before[name])
        assert value.grad is None
    start = dict(supernet.extract(genotype).named_parameters())
    moved = {s: sum((w[n] - start[n]).norm() for n in start) for s, w in stops.items()}
    assert 0 < moved[1] < moved[4]
    short = dict(finetuned(supernet, genotype, [1], **options))
    assert all(torch.equal(v, stops[1][n]) for n, v in short[1].named_parameters())


def test_no_fine_tuning_is_longer_than_an_epoch(parts):
    config, task, _ = parts
    options = {"config": config, "task": task}
    assert stop_steps(None, **options) == stop_steps(1000, **options) == 432 // 16
    assert stop_steps(3, **options) == 3
