"""The choice blocks of SPOS against the authors' way of writing them, and whole networks."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from stnas.ops.flops import count_madds
from stnas.space import SearchSpace
from stnas.space.spos import KINDS, block
from stnas.supernet import Network, SuperNet, Trie
from stnas.supernet.blocks import build

SPACE = SearchSpace.profile("nano", family="spos", image_size=14, in_channels=1, num_classes=4)


def conv(x, weight, stride=1):
    groups = weight.shape[0] if weight.shape[1] == 1 and weight.shape[2] > 1 else 1
    return functional.conv2d(x, weight, None, stride, weight.shape[2] // 2, groups=groups)


def norm(x):
    return functional.batch_norm(x, None, None, training=True)


def authors_block(x, kind, stride, main, proj):
    """Compute a block as blocks.py of the authors does, from its weights in order."""
    if stride == 1:
        n, c, h, w = x.shape
        pairs = x.reshape(n * c // 2, 2, h * w).permute(1, 0, 2).reshape(2, -1, c // 2, h, w)
        passed, x = pairs[0], pairs[1]
    else:
        depthwise, pointwise = proj
        passed = norm(conv(norm(conv(x, depthwise, stride)), pointwise)).relu()
    for i, weight in enumerate(main):
        halves = i == (0 if kind == "xception" else 1)
        x = norm(conv(x, weight, stride if halves else 1))
        x = x.relu() if weight.shape[2] == 1 else x
    return torch.cat((passed, x), 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "stride", "size"), [(16, 1, 7), (8, 2, 7), (12, 2, 8)])
def test_blocks_equal_the_authors(kind, before, stride, size):
    torch.manual_seed(0)
    part = block(kind, before, 16, stride, size)
    made = build(part, kernels="reference", norm=lambda n: nn.BatchNorm2d(n, affine=False))
    x = torch.randn(3, before, size, size)
    weights = [[p for p in branch.parameters()] for branch in (made.main, made.proj)]
    wanted = authors_block(x, kind, stride, *weights)
    assert made(x).shape == (3, 16, part.out_size, part.out_size)
    torch.testing.assert_close(made(x), wanted)


def step(supernet, x, genes):
    """Return logits and gradients of one step."""
    logits = supernet(x, genes)
    logits.square().sum().backward()
    return [logits.detach(), *(p.grad for p in supernet.parameters() if p.grad is not None)]


@pytest.mark.parametrize("genes", [(0,) * 6, (3,) * 6, (2, 1, 0, 3, 3, 1)])
def test_the_compiled_block_stands_in_for_its_layers(genes):
    genes, found = np.array(genes, np.int8), []
    for kernels in ("fused", "reference"):
        torch.manual_seed(0)
        supernet = SuperNet(SPACE, kernels=kernels).double()
        supernet.tail.dropout.eval()
        found.append(step(supernet, torch.randn(8, 1, 14, 14).double(), genes))
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-7, atol=1e-9)


def test_a_watched_layer_is_called():
    torch.manual_seed(0)
    part, calls = block("shuffle3", 16, 16, 1, 7), []
    made = build(part, kernels="fused", norm=nn.BatchNorm2d)
    x = torch.randn(3, 16, 7, 7)
    alone = made(x)
    made.main[0].register_forward_hook(lambda *_: calls.append(1))
    torch.testing.assert_close(made(x), alone)
    assert calls == [1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "stride"), [(16, 1), (8, 2)])
def test_a_part_counts_its_module(kind, before, stride):
    part = block(kind, before, 16, stride, 9)
    made = build(part, kernels="reference", norm=nn.BatchNorm2d)
    layers = part.layers().values()
    assert count_madds(made, (before, 9, 9)) == sum(layer.madds for layer in layers)
    assert sum(p.numel() for p in made.parameters()) == sum(layer.params for layer in layers)


@pytest.mark.parametrize("genes", [(0,) * 6, (3,) * 6, (2, 1, 0, 3, 3, 1)])
def test_networks_cost_what_the_space_says(genes):
    network = Network.build(SPACE, np.array(genes, np.int8))
    assert count_madds(network, (1, 14, 14)) == SPACE.madds([genes])[0]
    assert sum(p.numel() for p in network.parameters()) == SPACE.params([genes])[0]


def test_the_classifier_of_imagenet_has_no_bias():
    space = SearchSpace.profile("imagenet", family="spos", image_size=64, num_classes=3)
    network = Network.build(space, np.zeros(20, np.int8))
    assert network.tail.classifier.bias is None
    assert sum(p.numel() for p in network.parameters()) == space.params([[0] * 20])[0]


@pytest.mark.parametrize("seed", range(3))
def test_a_network_cut_out_gives_the_logits_of_its_path(seed, calibrated):
    torch.manual_seed(seed)
    supernet, x = SuperNet(SPACE), torch.randn(8, 1, 14, 14)
    genes = SPACE.sample(1, p_drop=0.5, seed=seed)[0]
    supernet.eval()
    alone = supernet.extract(genes).train()
    alone.tail.dropout.eval()
    torch.testing.assert_close(alone(x), supernet(x, genes))
    network, trie = calibrated(supernet, genes, [x]), Trie(supernet, genes[None])
    trie.observe_(x, momentum=1.0)
    ((_, logits),) = trie.logits(x)
    assert torch.equal(network(x), logits)


def test_all_networks_of_a_chain_share_their_beginnings():
    space = SearchSpace.profile("nano", family="spos", stages=(1, 1, 2), image_size=16)
    rows = np.array(np.unravel_index(np.arange(256), (4,) * 4)).T.astype(np.int8)
    values = Trie(SuperNet(space), rows).values
    assert sum(value.name.startswith("edges") for value in values) == 4 + 16 + 64 + 256


def test_gradients_reach_the_path_alone():
    torch.manual_seed(0)
    supernet, genes = SuperNet(SPACE), np.array([0, 1, 2, 3, 0, 1], np.int8)
    supernet(torch.randn(4, 1, 14, 14), genes).sum().backward()
    moved = [i for i, p in enumerate(supernet.parameters()) if p.grad is not None]
    assert moved == sorted(supernet.active_parameters(genes))


def test_one_image_of_one_pixel_at_last_has_no_statistics():
    space = SearchSpace.profile("nano", family="spos", image_size=9, in_channels=1)
    supernet = copy.deepcopy(SuperNet(space))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        supernet(torch.randn(1, 1, 9, 9), np.zeros(6, np.int8))
