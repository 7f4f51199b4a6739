"""A classifier of its own for an architecture: the least of its loss, and nothing else changes."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from stnas.data.epochs import evaluation_batches
from stnas.learn.evaluation import evaluate, recalibrate_
from stnas.learn.scoring import recalibration_images
from stnas.learn.task import build_supernet, prepare
from stnas.rank.probe import DECAY, fitted, probe_


@pytest.fixture
def seen():
    """Features of three classes that overlap, one of them the same in all images."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(90) % 3
    features = torch.randn(90, 6, dtype=torch.float64, generator=generator)
    features[:, :3] += functional.one_hot(labels, 3)
    features[:, 5] = 7.0
    return features, labels


def loss_of(z, labels, weight, bias, weights=None):
    logits = functional.linear(z, weight, bias)
    return functional.cross_entropy(logits, labels, weight=weights) + DECAY * weight.square().sum()


@pytest.mark.parametrize("weights", [None, torch.tensor([3.0, 1.0, 0.5], dtype=torch.float64)])
def test_the_classifier_is_the_least_of_the_penalised_loss(seen, weights):
    features, labels = seen
    weight, bias = fitted(features, labels, 3, weights=weights)
    mean, spread = features.mean(0), features.std(0, correction=0)
    own = (weight * spread).requires_grad_()
    shift = (bias + weight @ mean).requires_grad_()
    z = torch.where(spread > 0, (features - mean) / spread, 0.0)
    gradients = torch.autograd.grad(loss_of(z, labels, own, shift, weights), (own, shift))
    assert max(g.abs().max() for g in gradients) < 1e-3
    start = loss_of(z, labels, torch.zeros_like(own), torch.zeros_like(shift), weights)
    assert loss_of(z, labels, own, shift, weights) < start - 0.1
    assert not weight[:, 5].any(), "a feature that all have says nothing"


def test_scale_and_place_of_the_features_do_not_matter(seen):
    features, labels = seen
    moved = features * torch.tensor([1e-3, 1, 10, 1, 1e3, 1]) + 5
    expected = functional.linear(features, *fitted(features, labels, 3))
    found = functional.linear(moved, *fitted(moved, labels, 3))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_labels_of_one_class_are_fitted_too():
    features = torch.ones(4, 2, dtype=torch.float64)
    weight, bias = fitted(features, torch.ones(4, dtype=torch.int64), 3)
    assert not weight.any()
    assert bias.argmax() == 1
    assert bias.isfinite().all()


def test_a_probe_replaces_the_classifier_of_one_network_alone(tiny_config):
    config = replace(tiny_config, search=replace(tiny_config.search, recalibration_batch=32))
    task = prepare(config)
    supernet = build_supernet(config, task.space)
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    genotype = task.sampler.genotype(2)
    network = supernet.extract(genotype)
    recalibrate_(network, recalibration_images(config, task))
    kept = {k: v.clone() for k, v in network.state_dict().items() if "classifier" not in k}
    data = evaluation_batches(task.dataset, task.dataset.train, size=100)
    shared = evaluate(network, data)
    probe_(network, data)
    assert not network.training
    found = evaluate(network, data)
    assert found.loss < shared.loss - 0.1
    assert found.accuracy > shared.accuracy + 0.1
    own = network.state_dict()
    assert all(torch.equal(own[name], value) for name, value in kept.items())
    assert all(torch.equal(v, before[k]) for k, v in supernet.state_dict().items())
    first = network.tail.classifier.weight.clone()
    probe_(network, data)
    assert torch.equal(network.tail.classifier.weight, first), "it begins anew"
