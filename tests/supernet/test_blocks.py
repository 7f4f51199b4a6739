"""Blocks of any kind: shared weights, forms, and many architectures computed together."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from stnas.learn.evaluation import evaluate, recalibrate_
from stnas.learn.scoring import Scorer
from stnas.space import Arc, Gene, Head, Layer, Node, SearchSpace
from stnas.supernet import Network, SuperNet
from stnas.supernet.blocks import build


@dataclass(frozen=True)
class Scaled:
    """A convolution whose forms use its first channels alone."""

    in_channels: int = 6
    out_channels: int = 6
    stride: int = 1

    def layers(self, option=0):
        hidden = 3 if option == 0 else 6
        return {"in": Layer(36 * hidden, 6 * hidden), "out": Layer(36 * hidden, 6 * hidden)}


class ScaledBlock(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.first, self.second = nn.Conv2d(6, 6, 1, bias=False), nn.Conv2d(6, 6, 1, bias=False)
        self.inner = nn.ModuleList([norm(3), norm(6)])
        self.outer = norm(6)

    def forward(self, x, option=0):
        hidden = self.inner[option].num_features
        x = nn.functional.conv2d(x, self.first.weight[:hidden])
        x = self.inner[option](x).relu()
        return self.outer(nn.functional.conv2d(x, self.second.weight[:, :hidden]))

    def norms(self, option=0):
        return (self.inner[option], self.outer)


@build.register
def scaled(part: Scaled, *, kernels, norm):
    return ScaledBlock(norm)


@pytest.fixture
def supernet():
    """Make two places that share one block of two forms, each with the identity beside."""
    genes = (Gene("a", ("narrow", "wide", "skip")), Gene("b", ("narrow", "wide", "skip")))
    arcs = tuple(
        Arc(gene, gene + 1, "shared" if choice < 2 else None, choice % 2, ((gene, choice),))
        for gene in range(2)
        for choice in range(3)
    )
    nodes = tuple(Node(i, 0, 6, 6) for i in range(3))
    head = Head(in_channels=1, image_size=6, num_classes=4, stem_stride=1, tail_width=8, dropout=0)
    recipe = {"version": 1, "built": "shared"}
    space = SearchSpace(genes, nodes, arcs, {"shared": Scaled()}, head, recipe, "0" * 8)
    torch.manual_seed(0)
    return SuperNet(space, affine=True)


def everything(space):
    return np.array([[a, b] for a in range(3) for b in range(3)], np.int8)


def images(count=5, seed=1):
    return torch.randn(count, 1, 6, 6, generator=torch.Generator().manual_seed(seed))


def test_cut_out_networks_are_the_hyper_network(supernet):
    for genotype in everything(supernet.space):
        network = supernet.extract(genotype)
        assert torch.equal(network.train()(images()), supernet(images(), genotype))


def test_a_block_that_two_arcs_share_is_one_module(supernet):
    network = supernet.extract(np.array([0, 1], np.int8))
    assert list(network.edges) == ["v1_v2"]
    active = supernet.active_parameters(np.array([0, 1], np.int8))
    assert len(active) == len(set(active)) == len(list(network.parameters()))


def test_scores_are_those_of_each_alone(supernet):
    """But where two arcs share BN layers, whose statistics a lone network mixes."""
    labels = torch.arange(5) % 4
    data, many = [(images(), labels), (images(5, 2), labels)], [images(6, 3), images(4, 4)]
    genotypes = everything(supernet.space)
    scores = Scorer([supernet], many, data)(genotypes)
    for genotype, score in zip(genotypes, scores, strict=True):
        if 2 in genotype:
            network = supernet.extract(genotype)
            recalibrate_(network, many)
            assert score == evaluate(network, data)
    assert len({score.loss for score in scores}) > 4


def test_lent_statistics_are_taken_back(supernet):
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    Scorer([supernet], [images()], [(images(), torch.arange(5) % 4)])(everything(supernet.space))
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    norms = [m for m in supernet.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(m.running_mean is None and m.training and m.momentum == 0.1 for m in norms)


def test_a_part_without_a_block_is_refused():
    @dataclass(frozen=True)
    class Unknown(Scaled):
        pass

    class Foreign:
        in_channels = out_channels = 6
        stride = 1

    assert isinstance(build(Unknown(), kernels="fused", norm=nn.BatchNorm2d), ScaledBlock)
    with pytest.raises(TypeError, match=r"got Foreign: register .* @stnas\.build\.register"):
        build(Foreign(), kernels="fused", norm=nn.BatchNorm2d)


def test_names_that_modules_have_too_are_no_obstacle(supernet):
    space = supernet.space
    arcs = tuple(arc._replace(part=arc.part and "half.type") for arc in space.arcs)
    other = SearchSpace(
        space.genes, space.nodes, arcs, {"half.type": Scaled()}, space.head, {}, "0" * 8
    )
    genotype = np.array([1, 2], np.int8)
    names = [name for name, _ in SuperNet(other).named_parameters()]
    assert "blocks.half.type.first.weight" in names
    assert Network.build(other, genotype)(images()).shape == (5, 4)
