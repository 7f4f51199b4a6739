"""Gradients of a batch in parts are the mean of the parts' own."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from stnas.config import Config, RetrainConfig, TrainConfig
from stnas.group.processes import ProcessGroup
from stnas.learn import gradients
from stnas.learn.gradients import (
    Parts,
    check_alike,
    mean_gradients_,
    own_parts,
    total,
)
from stnas.space import SearchSpace
from stnas.supernet import Network, synchronise_


def network():
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(80, 3))
    return nn.ModuleDict({"used": nn.Sequential(*layers), "idle": nn.Linear(4, 4)})


def batch(count):
    stream = torch.Generator().manual_seed(1)
    images = torch.randn(count, 1, 6, 6, generator=stream)
    return images, torch.randint(3, (count,), generator=stream)


def moving(module):
    return [b for b in module.buffers() if b.is_floating_point()]


def test_parts_give_the_mean_of_their_gradients_and_of_their_statistics():
    module, (images, labels) = network(), batch(12)
    outcome = mean_gradients_(
        list(module.parameters()),
        lambda part, own: module["used"](own),
        images,
        labels,
        parts=Parts(6, range(6)),
        statistics=moving(module),
    )
    alone = [network() for _ in range(6)]
    losses = []
    for twin, own, truth in zip(alone, images.chunk(6), labels.chunk(6), strict=True):
        losses.append(functional.cross_entropy(twin["used"](own), truth))
        losses[-1].backward()
    assert outcome.losses == pytest.approx([loss.item() for loss in losses])
    assert outcome.loss == pytest.approx(sum(losses).item() / 6)
    for name, parameter in module.named_parameters():
        grads = [dict(twin.named_parameters())[name].grad for twin in alone]
        if name.startswith("idle"):
            assert parameter.grad is None
        else:
            torch.testing.assert_close(parameter.grad, torch.stack(grads).mean(0))
    for value, *others in zip(moving(module), *map(moving, alone), strict=True):
        torch.testing.assert_close(value, torch.stack(others).mean(0))


def part_of_a_step(group):
    module, (images, labels) = network(), batch(48)
    parts = own_parts("train", TrainConfig(batch_size=48, micro_batches=12))
    each = len(images) // group.size
    rows = slice(group.rank * each, (group.rank + 1) * each)
    outcome = mean_gradients_(
        list(module.parameters()),
        lambda part, own: module["used"](own),
        images[rows],
        labels[rows],
        parts=parts,
        statistics=moving(module),
    )
    check_alike(module)
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    return [outcome.losses, outcome.accuracies, *(t.tolist() for t in gradients + moving(module))]


def test_a_step_is_the_same_bits_for_any_power_of_two_processes(in_processes):
    whole = part_of_a_step(ProcessGroup())
    assert in_processes(2, part_of_a_step) == [whole] * 2
    assert in_processes(4, part_of_a_step) == [whole] * 4


def test_parts_that_cannot_be_shared_evenly_are_refused(monkeypatch):
    monkeypatch.setattr(gradients, "current", lambda: ProcessGroup(1, 4))
    four = TrainConfig(batch_size=48, micro_batches=8)
    assert own_parts("train", four) == Parts(8, range(2, 4))
    message = r"train\.micro_batches must be a multiple of the number of processes = 4, got 6: set"
    with pytest.raises(ValueError, match=message):
        own_parts("train", TrainConfig(batch_size=48, micro_batches=6))
    message = r"retrain\.micro_batches must be the number of processes = 4 with retrain\.sync_"
    with pytest.raises(ValueError, match=message):
        own_parts("retrain", RetrainConfig(micro_batches=8, sync_batch_norm=True))


def diverged(group):
    module = network()
    if group.rank == 1:
        next(module.parameters()).data.add_(1e-6)
    check_alike(module)


def test_weights_that_differ_end_the_run(in_processes):
    first, _ = in_processes(2, diverged)
    assert "the weights must be the same in all processes, got others in rank 1" in first


def synchronised_step(group):
    """Train a network with BN of every kind for one step; return gradients and statistics."""
    torch.manual_seed(0)
    space = SearchSpace.profile("nano", merge="shadow", dropout=0.0)
    genotype = space.sample(1, p_drop=0.3, seed=2)[0]
    network = Network.build(space, genotype, kernels="reference").double().train()
    if group.size > 1:
        synchronise_(network, total)
    stream = torch.Generator().manual_seed(1)
    images = torch.randn(16, 3, 32, 32, generator=stream, dtype=torch.double)
    labels = torch.randint(10, (16,), generator=stream)
    each = 16 // group.size
    rows = slice(group.rank * each, (group.rank + 1) * each)
    mean_gradients_(
        list(network.parameters()),
        lambda part, own: network(own),
        images[rows],
        labels[rows],
        parts=own_parts("train", TrainConfig(micro_batches=group.size, sync_batch_norm=True)),
        statistics=moving(network),
    )
    return [t.numpy() for t in (*(p.grad for p in network.parameters()), *moving(network))]


def test_synchronised_statistics_are_those_of_the_whole_batch(in_processes):
    whole = synchronised_step(ProcessGroup())
    for found in in_processes(4, synchronised_step):
        for value, expected in zip(found, whole, strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-12)


def test_the_compiled_block_is_refused_with_synchronised_statistics():
    with pytest.raises(
        ValueError, match=r"train\.sync_batch_norm must be false with kernels fused"
    ):
        Config(train=TrainConfig(sync_batch_norm=True))
    assert Config(kernels="reference", train=TrainConfig(sync_batch_norm=True))
