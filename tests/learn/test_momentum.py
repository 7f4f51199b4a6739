"""Steps with momentum: torch's SGD along one path, and nothing beside it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from stnas.config import RetrainConfig, SpaceConfig
from stnas.learn.cross_entropy import backward
from stnas.learn.momentum import Momentum
from stnas.learn.network_optimiser import optimiser
from stnas.learn.single_path import linear, train_step_
from stnas.space import SearchSpace
from stnas.supernet import Network, SuperNet, initialise_
from stnas.train import run

SPACE = SearchSpace.profile(
    "nano", family="spos", stages=(2, 1), widths=(8, 12), stem_width=4, tail_width=8,
    image_size=12, in_channels=1, num_classes=4, dropout=0.0,
)  # fmt: skip
PATHS = np.array([[0, 1, 2], [3, 1, 0], [0, 1, 2], [2, 3, 3]], np.int8)


def batch(step):
    generator = torch.Generator().manual_seed(step)
    return torch.randn(6, 1, 12, 12, generator=generator), torch.arange(6) % 4


def stepped(supernet, momentum, genotype, step, **options):
    images, labels = batch(step)
    return train_step_(
        supernet, genotype, images, labels, lr=0.05, seed=1, step=step, momentum=momentum,
        weight_decay=momentum.weight_decay, mode="none", **options,
    )  # fmt: skip


def made(**options):
    torch.manual_seed(0)
    supernet = SuperNet(SPACE, affine=True)
    settings = {"factor": 0.9, "weight_decay": 0.01, **options}
    factor = settings.pop("factor")
    return supernet, Momentum(dict(supernet.named_parameters()), factor, **settings)


def test_one_path_moves_as_by_torch_s_sgd():
    supernet, momentum = made()
    twin, _ = made()
    groups = [
        {"params": [p for p in twin.parameters() if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in twin.parameters() if p.ndim < 2]},
    ]
    sgd = torch.optim.SGD(groups, lr=0.05, momentum=0.9)
    for step in range(4):
        stepped(supernet, momentum, PATHS[0], step)
        sgd.zero_grad()
        images, labels = batch(step)
        functional.cross_entropy(twin(images, PATHS[0]), labels).backward()
        sgd.step()
    for (name, own), other in zip(supernet.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(own, other, atol=2e-5, rtol=2e-5, msg=name)


def test_what_is_not_on_the_path_keeps_weight_and_velocity_byte_for_byte():
    supernet, momentum = made()
    for step, genotype in enumerate(PATHS):
        used = supernet.active_parameters(genotype)
        before = [p.detach().clone() for p in supernet.parameters()]
        speeds = [v.clone() for v in momentum.velocities]
        stepped(supernet, momentum, genotype, step)
        for i, (own, speed) in enumerate(zip(supernet.parameters(), speeds, strict=True)):
            still = torch.equal(own, before[i]) and torch.equal(momentum.velocities[i], speed)
            assert still != (i in used), i


def test_a_loss_that_is_not_finite_moves_nothing():
    supernet, momentum = made()
    stepped(supernet, momentum, PATHS[0], 0)
    kept = {name: value.clone() for name, value in momentum.state().items()}
    with pytest.raises(FloatingPointError, match=r"lower train.learning_rate"):
        train_step_(
            supernet, PATHS[0], torch.full((4, 1, 12, 12), torch.nan), torch.arange(4),
            lr=0.1, seed=0, step=1, momentum=momentum, weight_decay=0.0, mode="none",
        )  # fmt: skip
    assert all(torch.equal(value, kept[name]) for name, value in momentum.state().items())


def test_a_state_is_gone_on_from():
    supernet, momentum = made()
    stepped(supernet, momentum, PATHS[0], 0)
    state = {name: value.clone() for name, value in momentum.state().items()}
    _, other = made()
    other.load_(dict(state, more=torch.zeros(1)))
    assert all(torch.equal(value, state[name]) for name, value in other.state().items())


def test_one_architecture_learns_a_batch_by_heart():
    supernet, momentum = made(weight_decay=0.0)
    losses = [stepped(supernet, momentum, PATHS[3], 0)[0] for _ in range(60)]
    assert losses[-1] < 0.02 < losses[0]


class StoppedError(Exception):
    """The run is cut off."""


LAWS = (
    {"sampling": "bins"},
    {"sampling": "tilted", "madds": 8000.0},
    {"sampling": "uniform", "scales": (6, 8, 10), "scale_warmup": 0.5},
)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law["sampling"])
def test_a_run_that_was_cut_off_goes_on_to_the_same_bits(
    law, tiny_config, tmp_path, monkeypatch, results_of
):
    space = SpaceConfig(
        family="spos", profile="nano", stages=(2, 1), widths=(8, 12), stem_width=4, tail_width=8,
        scales=law.get("scales"),
    )  # fmt: skip
    law = {name: value for name, value in law.items() if name != "scales"}
    train = replace(
        tiny_config.train, momentum=0.9, learning_rate=0.1, schedule="linear", label_smoothing=0.1,
        initialisation="normal", final_learning_rate=0.0, ema=(0.9,), **law,
    )  # fmt: skip
    config = replace(tiny_config, space=space, train=train, save_every=0.0)
    whole = replace(config, run=str(tmp_path / "whole"))
    run(whole)
    steps, moved = 0, Momentum.advance_

    def counted(self, *given):
        nonlocal steps
        steps += 1
        if steps == 40:
            raise StoppedError
        return moved(self, *given)

    monkeypatch.setattr(Momentum, "advance_", counted)
    with pytest.raises(StoppedError):
        run(config)
    run(config)
    found, wanted = results_of(config.folder), results_of(whole.folder)
    assert {n: v for n, v in found.items() if n != "metrics.jsonl"} == {
        n: v for n, v in wanted.items() if n != "metrics.jsonl"
    }


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 1.0, 2.0])])
def test_smoothed_labels_give_the_loss_by_its_definition(smoothing, weights):
    torch.manual_seed(0)
    logits, labels = torch.randn(5, 3, requires_grad=True), torch.tensor([0, 2, 1, 1, 0])
    target = (1 - smoothing) * functional.one_hot(labels, 3) + smoothing / 3
    each = -(target * logits.log_softmax(1)).sum(1)
    wanted = (each * (1 if weights is None else weights[labels])).mean()
    loss, _ = backward(logits, labels, share=1.0, weights=weights, smoothing=smoothing)
    assert loss == pytest.approx(wanted.item(), rel=1e-6)
    (expected,) = torch.autograd.grad(wanted, logits)
    torch.testing.assert_close(logits.grad, expected)


def test_a_linear_rate_falls_evenly():
    rates = [linear(step, steps=4, start=0.5, end=0.1) for step in range(6)]
    assert rates == pytest.approx([0.5, 0.4, 0.3, 0.2, 0.1, 0.1])


def test_initial_weights_have_the_deviations_of_the_authors():
    torch.manual_seed(0)
    space = SearchSpace.profile("small", family="spos")
    network = Network.build(space, np.zeros(12, np.int8))
    initialise_(network, "normal")
    assert network.stem.convolution.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert network.tail.classifier.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert not network.tail.classifier.bias.any()
    for layer in network.edges["v12_v13"].main:
        if isinstance(layer, nn.Conv2d):
            wanted = 1.0 if layer.groups > 1 else 1 / layer.in_channels
            assert layer.weight.std().item() == pytest.approx(wanted, rel=0.1)
    before = [p.clone() for p in network.parameters()]
    initialise_(network, "torch")
    assert all(torch.equal(p, q) for p, q in zip(before, network.parameters(), strict=True))
    initialise_(network, "kaiming")
    spread = network.tail.features.convolution.weight.std()
    assert spread.item() == pytest.approx((2 / 256) ** 0.5, rel=0.05)


def test_vectors_are_spared_the_decay_where_asked():
    network = Network.build(SPACE, PATHS[0])
    for option, groups in ((True, 1), (False, 2)):
        found = optimiser(network, RetrainConfig(decay_vectors=option, nesterov=False))
        assert len(found.param_groups) == groups
        assert not any(group["nesterov"] for group in found.param_groups)
        decays = {
            id(p): group["weight_decay"] for group in found.param_groups for p in group["params"]
        }
        assert len(decays) == len(list(network.parameters()))
        for p in network.parameters():
            assert decays[id(p)] == (1e-4 if option or p.ndim > 1 else 0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"float_share": 0.5}, r"train.float_share must be left .*, got 0.5 with .* spos: remove"),
        ({"p_drop": 0.3}, r"train.p_drop must be left out with space.family spos.*, got 0.3: "),
        ({"sampling": "fair", "madds": 3e4}, r"train.madds must be left out .* fair .* tilted"),
        ({"sampling": "tilted", "madds": 9e9}, r"train.madds must lie .*, got 9,000,000,000: "),
        ({"sampling": "bins", "madds_bins": (1.0, 2.0)}, r"train.madds_bins must each hold"),
    ],
)
def test_laws_that_the_space_does_not_have_are_refused_before_training(
    options, message, tiny_config
):
    space = SpaceConfig(family="spos", profile="nano", stages=(1, 1), widths=(16, 24))
    train = replace(tiny_config.train, **options)
    with pytest.raises(ValueError, match=message):
        run(replace(tiny_config, space=space, train=train))
    assert not (tiny_config.folder / "train" / "weights.safetensors").exists()


WARMUPS = {
    5.0: ((6, 8, 10), r"train.scale_warmup must let all 3 .* less than 3, got 5: set it lower"),
    1.0: (None, r"train.scale_warmup must be left out without two or more space.scales"),
}


@pytest.mark.parametrize("every", WARMUPS)
def test_wrong_warm_ups_are_refused(every, tiny_config):
    scales, message = WARMUPS[every]
    space = SpaceConfig(
        family="spos", profile="nano", stages=(2, 1), widths=(8, 12), stem_width=4, tail_width=8,
        scales=scales,
    )  # fmt: skip
    train = replace(tiny_config.train, epochs=6, scale_warmup=every)
    with pytest.raises(ValueError, match=message):
        run(replace(tiny_config, space=space, train=train))


def test_a_warm_up_backwards_is_refused(tiny_config):
    with pytest.raises(ValueError, match=r"train.scale_warmup must be .* got -1"):
        replace(tiny_config.train, scale_warmup=-1.0)
