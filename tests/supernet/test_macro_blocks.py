"""Bottlenecks without SE: compiled as those with SE are, and scored together."""

import pytest
import torch

from stnas.learn.evaluation import evaluate, recalibrate_
from stnas.learn.scoring import Scorer
from stnas.space import SearchSpace
from stnas.space.macro import InvertedResidual
from stnas.supernet import Network, SuperNet
from stnas.supernet.blocks import build

SHAPES = [
    (3, 3, 5, 6, 1, 7),
    (4, 6, 5, 6, 2, 7),
    (5, 5, 3, 3, 1, 1),
    (8, 16, 3, 3, 2, 6),
    (16, 16, 5, 6, 1, 4),
]
"""in_channels, out_channels, kernel, expand, stride, in_size."""


def norm(channels):
    layer = torch.nn.BatchNorm2d(channels)
    torch.nn.init.normal_(layer.weight, 1.0, 0.3)
    torch.nn.init.normal_(layer.bias, 0.0, 0.3)
    return layer


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_operator_gives_what_the_layers_give(shape, training):
    torch.manual_seed(0)
    size, stride = shape[-1], shape[-2]
    part = InvertedResidual(*shape, out_size=-(-size // stride))
    block = build(part, kernels="fused", norm=norm).double().train(training)
    plain = build(part, kernels="reference", norm=norm).double().train(training)
    plain.load_state_dict(block.state_dict())
    x = torch.randn(3, part.in_channels, size, size, dtype=torch.float64)
    results = []
    for own in (block, plain):
        given = x.clone().requires_grad_()
        out = own(given)
        (out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)).sum().backward()
        results.append([out, given.grad, *(p.grad for p in own.parameters()), *own.buffers()])
    for ours, wanted in zip(*results, strict=True):
        torch.testing.assert_close(ours, wanted, rtol=1e-10, atol=1e-10)


def test_it_has_no_weights_of_a_gate():
    part = InvertedResidual(4, 4, 3, 3, 1, 5, 5)
    block = build(part, kernels="fused", norm=lambda c: torch.nn.BatchNorm2d(c, affine=False))
    assert sum(p.numel() for p in block.parameters()) == 4 * 12 + 12 * 9 + 12 * 4
    assert not any("squeeze" in name or "excite" in name for name in block.state_dict())


def test_candidates_are_computed_together_as_each_alone():
    torch.manual_seed(0)
    space = SearchSpace.profile("nas_bench_macro", widths=(8, 8, 12), stem_width=4, tail_width=16)
    supernet = SuperNet(space)
    images = [torch.randn(n, 3, 32, 32) for n in (6, 5)]
    data = [(batch, torch.arange(len(batch))) for batch in images]
    rows = space.sample(6, p_drop=0.5, seed=0)
    for row, score in zip(rows, Scorer([supernet], images, data)(rows), strict=True):
        network = supernet.extract(row)
        recalibrate_(network, images)
        assert score == evaluate(network, data)


def test_a_chain_without_projections_is_one_path():
    torch.manual_seed(0)
    space = SearchSpace.profile("nas_bench_macro", widths=(8, 8, 12), stem_width=4, tail_width=16)
    network = Network.build(space, space.parse_digits("12112212"), affine=False)
    plain = Network.build(space, space.parse_digits("12112212"), affine=False, kernels="reference")
    plain.load_state_dict(network.state_dict())
    x = torch.randn(5, 3, 32, 32)
    torch.testing.assert_close(network(x), plain(x), rtol=1e-4, atol=1e-4)
