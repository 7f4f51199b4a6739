"""Residual blocks of few bits: a ResNet in float, its bits by hand, and what a step moves."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from stnas.learn.momentum import Momentum
from stnas.learn.single_path import train_step_
from stnas.ops.flops import count_madds
from stnas.ops.quantisation import dorefa, pact
from stnas.space import SearchSpace
from stnas.space.quant import QuantBlock
from stnas.supernet import Network, SuperNet
from stnas.supernet.blocks import build
from stnas.supernet.blocks.quant import FLOAT

SPACE = SearchSpace.profile(
    "resnet14", stages=(1, 1), widths=(4, 8), image_size=12, num_classes=4, bits=("w1a2", "w3a4")
)
PATHS = np.array([[0, 1], [1, 0], [1, 1], [0, 0]], np.int8)


def made(before=4, after=8, stride=2, bits=((1, 2), (2, 4))):
    torch.manual_seed(0)
    part = QuantBlock(before, after, stride, 4, bits)
    return build(part, kernels="reference", norm=nn.BatchNorm2d)


@pytest.mark.parametrize(("before", "stride"), [(4, 2), (8, 1)])
def test_the_float_form_is_torchvision_s_basic_block(before, stride):
    block = made(before, stride=stride)
    x = torch.randn(3, before, 7, 7).relu()
    wanted = block.norm2(block.conv2(block.norm1(block.conv1(x)).relu()))
    skip = block.shortcut_norm(block.shortcut(x)) if stride == 2 else x
    torch.testing.assert_close(block(x, FLOAT), (wanted + skip).relu())


def test_every_convolution_reads_quantised_values_with_quantised_weights():
    block, x = made(), torch.randn(3, 4, 7, 7).relu()
    with torch.no_grad():
        for place, bound in enumerate(block.bounds.values()):
            bound.fill_(1 + place)

    def conv(name, x, w, a):
        layer = getattr(block, name)
        value = pact(x, block.bounds[f"{name}_a{a}"], a)
        return functional.conv2d(value, dorefa(layer.weight, w), None, layer.stride, layer.padding)

    for option, (w, a) in enumerate(((1, 2), (2, 4))):
        inner = block.norm1(conv("conv1", x, w, a))
        skip = block.shortcut_norm(conv("shortcut", x, w, a))
        wanted = (block.norm2(conv("conv2", inner, w, a)) + skip).relu()
        torch.testing.assert_close(block(x, option), wanted)
    assert not torch.allclose(block(x, 0), block(x, 1))


def test_only_the_bounds_of_the_drawn_bits_move_and_they_decay():
    torch.manual_seed(0)
    supernet = SuperNet(SPACE, kernels="reference")
    named = dict(supernet.named_parameters())
    momentum = Momentum(named, 0.9, weight_decay=0.1)
    images, labels = torch.randn(8, 1, 12, 12), torch.arange(8) % 4
    for step, (genotype, option) in enumerate([(PATHS[0], None), (PATHS[1], None), (PATHS[2], -1)]):
        before = {name: own.detach().clone() for name, own in named.items()}
        train_step_(
            supernet, genotype, images, labels, lr=0.05, seed=1, step=step, momentum=momentum,
            mode="none", option=option, weight_decay=0.1,
        )  # fmt: skip
        moved = {name for name, own in named.items() if not torch.equal(own, before[name])}
        bounds = {name for name in moved if "bounds" in name}
        drawn = {f"blocks.block{g + 1}": (2, 4)[bits] for g, bits in enumerate(genotype)}
        wanted = {
            name
            for name in named
            if "bounds" in name and name.endswith(f"a{drawn[name.partition('.block.')[0]]}")
        }
        assert bounds == (wanted if option is None else set())
        assert {"stem.convolution.weight", "blocks.block1.block.conv1.weight"} <= moved


def test_a_network_has_the_bits_that_were_found():
    network = Network.build(SPACE, PATHS[0], kernels="reference")
    bounds = [name for name, _ in network.named_parameters() if "bounds" in name]
    assert [name.rpartition("_")[2] for name in bounds] == ["a2"] * 2 + ["a4"] * 3
    count = sum(own.numel() for own in network.parameters())
    assert count - len(bounds) == SPACE.params(PATHS[:1])[0]
    assert count_madds(network, (1, 12, 12)) == SPACE.madds(PATHS[:1])[0]


def test_imagenet_s_stem_pools():
    space = SearchSpace.profile("resnet18", image_size=64, num_classes=3, widths=(4, 8, 12, 16))
    genes = np.zeros(8, np.int8)
    network = Network.build(space, genes, kernels="reference")
    assert network.stem(torch.randn(2, 3, 64, 64)).shape == (2, 4, 16, 16)
    assert count_madds(network, (3, 64, 64)) == space.madds(genes[None])[0]


def test_the_trie_computes_what_cut_out_networks_do(logits_of_all):
    torch.manual_seed(0)
    supernet = SuperNet(SPACE, kernels="reference")
    logits = logits_of_all(supernet, PATHS, torch.randn(20, 1, 12, 12))
    assert not torch.allclose(logits[0], logits[1])
