"""Forms of a choice block: leading slices of the largest, alike in both kernels and cut out."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from stnas.group.streams import derive
from stnas.learn.momentum import Momentum
from stnas.learn.single_path import train_step_
from stnas.ops.flops import count_madds
from stnas.ops.sgld import standard_normal
from stnas.space import SearchSpace
from stnas.space.spos import KINDS, block
from stnas.supernet import Network, SuperNet, initialise_
from stnas.supernet.blocks import build

SPACE = SearchSpace.profile(
    "nano", family="spos", scales=(6, 8, 10, 13), stages=(2, 1), widths=(8, 12), stem_width=4,
    tail_width=8, image_size=12, in_channels=1, num_classes=4, dropout=0.0,
)  # fmt: skip
PATHS = np.array([[0, 5, 10], [15, 13, 12], [12, 3, 6], [8, 7, 1]], np.int8)


def small_of(large, part):
    """Make the block of one form, with the slices of the large one's weights."""
    made = build(part, kernels="reference", norm=nn.BatchNorm2d).double()
    state = large.state_dict()
    made.load_state_dict(
        {
            name: state[name][tuple(map(slice, own.shape))] if own.ndim else state[name]
            for name, own in made.state_dict().items()
        }
    )
    return made


@pytest.mark.parametrize("kernels", ["fused", "reference"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "stride"), [(16, 1), (8, 2)])
def test_a_form_is_the_block_of_the_leading_slices(kind, before, stride, training, kernels):
    torch.manual_seed(0)
    part = block(kind, before, 16, stride, 7, scales=(4, 6, 10, 16))
    assert (part.mid, part.mids) == (12, (3, 4, 8, 12))
    large = build(part, kernels=kernels, norm=nn.BatchNorm2d)
    with torch.no_grad():
        for own in large.parameters():
            own.add_(torch.rand_like(own))
        for own in large.norms():
            own.running_mean.uniform_(-1, 1)
            own.running_var.uniform_(0.5, 2)
    large.double().train(training)
    x = torch.randn(3, before, 7, 7).double()
    for option in range(4):
        small = small_of(large, part.form(option)).train(training)
        untouched = copy.deepcopy(large.state_dict())
        torch.testing.assert_close(large(x, option), small(x), rtol=1e-9, atol=1e-9)
        state, wanted = large.state_dict(), small.state_dict()
        for name, value in state.items():
            used = tuple(map(slice, wanted[name].shape))
            torch.testing.assert_close(value[used], wanted[name], rtol=1e-9, atol=1e-9)
            untouched[name][used] = value[used]
            assert torch.equal(value, untouched[name])


def test_gradients_are_those_of_the_form_and_zero_beside_it():
    torch.manual_seed(0)
    part = block("shuffle5", 16, 16, 1, 7, scales=(6, 16))
    x, found = torch.randn(3, 16, 7, 7).double(), []
    for kernels in ("fused", "reference"):
        torch.manual_seed(1)
        made = build(part, kernels=kernels, norm=nn.BatchNorm2d).double()
        made(x, 0).square().sum().backward()
        found.append({name: own.grad for name, own in made.named_parameters()})
    for name, own in found[0].items():
        torch.testing.assert_close(own, found[1][name], rtol=1e-7, atol=1e-9)
    outside = found[0]["main.0.weight"][part.mids[0] :]
    assert outside.abs().sum() == 0


def slices_of(genotype):
    """Return, by parameter, what a step along a path may change, found without the package."""
    moved = {}
    supernet = SuperNet(SPACE, affine=True)
    for arc in SPACE.arcs_of(genotype):
        part = SPACE.parts[arc.part]
        small = build(part.form(arc.option), kernels="reference", norm=nn.BatchNorm2d)
        for name, own in small.named_parameters():
            moved[f"blocks.{arc.part}.{name}"] = tuple(map(slice, own.shape))
    for name, own in supernet.named_parameters():
        if name.startswith(("stem", "tail")):
            moved[name] = tuple(map(slice, own.shape))
    return moved


@pytest.mark.parametrize("options", [{"momentum": 0.9}, {"mode": "literal"}], ids=str)
def test_only_slices_move_and_the_rest_keeps_every_byte(options):
    torch.manual_seed(0)
    supernet = SuperNet(SPACE, affine=True)
    named = dict(supernet.named_parameters())
    momentum = Momentum(named, 0.9, weight_decay=0.1) if "momentum" in options else None
    for step, genotype in enumerate(PATHS):
        before = {name: own.detach().clone() for name, own in named.items()}
        speed = [] if momentum is None else [own.clone() for own in momentum.velocities]
        train_step_(
            supernet, genotype, torch.randn(6, 1, 12, 12), torch.arange(6) % 4, lr=0.05, seed=1,
            step=step, momentum=momentum, weight_decay=0.1, mode=options.get("mode", "none"),
        )  # fmt: skip
        moved = slices_of(genotype)
        for place, (name, own) in enumerate(named.items()):
            pairs = [(own.detach(), before[name])]
            pairs += [] if momentum is None else [(momentum.velocities[place], speed[place])]
            for now, then in pairs:
                if name in moved:
                    assert (now[moved[name]] != then[moved[name]]).any()
                    then[moved[name]] = now[moved[name]]
                assert now.numpy().tobytes() == then.numpy().tobytes(), name


def test_noise_belongs_to_the_place_in_the_whole_tensor():
    torch.manual_seed(0)
    images, labels = torch.randn(6, 1, 12, 12), torch.arange(6) % 4
    made = SuperNet(SPACE)
    steps = {}
    for mode in ("literal", "none"):
        supernet = copy.deepcopy(made)
        train_step_(
            supernet, PATHS[0], images, labels, lr=0.005, seed=1, step=7, weight_decay=0.0,
            mode=mode, num_data=10,
        )  # fmt: skip
        steps[mode] = dict(supernet.named_parameters())
    name = "blocks.block1.shuffle3.main.0.weight"
    place = list(steps["none"]).index(name)
    whole = standard_normal(
        steps["none"][name].numel(), seed=derive(1, "noise"), step=7, tensor=place
    )
    used = slices_of(PATHS[0])[name]
    wanted = whole.view_as(steps["none"][name])[used] * 0.1
    found = (steps["literal"][name] - steps["none"][name])[used]
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("genes", [PATHS[0], PATHS[2]], ids=str)
def test_networks_are_built_with_the_channels_that_were_found(genes):
    network = Network.build(SPACE, genes)
    assert count_madds(network, (1, 12, 12)) == SPACE.madds([genes])[0]
    assert sum(own.numel() for own in network.parameters()) == SPACE.params([genes])[0]


def test_a_network_cut_out_and_the_trie_compute_the_form(logits_of_all):
    torch.manual_seed(0)
    supernet = SuperNet(SPACE)
    initialise_(supernet, "normal")
    logits = logits_of_all(supernet, PATHS, torch.randn(20, 1, 12, 12))
    assert not torch.allclose(logits[0], logits[1])
