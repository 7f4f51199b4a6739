"""Mixtures of a part of the channels: the formula, the levels of sharing, and their vertices."""

import pytest
import torch
from torch.nn import functional

from stnas.space import SearchSpace
from stnas.space.cells.partial import partial_space
from stnas.supernet.blocks.partial import side_by_side
from stnas.supernet.mixture import MixedNet, Soft, edge_weights
from stnas.supernet.mixture.edge import NodeValue
from stnas.supernet.mixture.partial import PartialEdge, shuffled_sum

SIZES = {"channels": 4, "image_size": 9, "in_channels": 1, "num_classes": 3}
SPACES = {
    family: partial_space(SearchSpace.profile("micro", family=family, **SIZES), 2)
    for family in ("nb201", "darts")
}
X = torch.randn(4, 1, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def made(family, level, *, normalise=False):
    torch.manual_seed(0)
    net = MixedNet(SPACES[family], level=level, normalise=normalise, kernels="reference")
    return net.double()


def architecture(family, seed=0):
    mixture = SPACES[family].mixture
    generator = torch.Generator().manual_seed(seed)
    size = mixture.rows, len(mixture.choices)
    alpha = torch.randn(size, dtype=torch.float64, generator=generator).requires_grad_()
    beta = torch.randn(size[0], dtype=torch.float64, generator=generator).requires_grad_()
    return alpha, beta


def logits(net, alpha, beta):
    return net(X, [Soft(row) for row in alpha], edge_weights(beta, net.space.mixture.entering))


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_channels_are_shuffled_by_parts(parts):
    x = torch.randn(2, 4 * parts, 3, 5)
    found = side_by_side(x[:, :4], x[:, 4:], parts)
    torch.testing.assert_close(found, functional.channel_shuffle(x, parts), rtol=0, atol=0)


@pytest.mark.parametrize("family", SPACES)
def test_weights_of_edges_are_softmax_by_node(family):
    beta = torch.randn(SPACES[family].mixture.rows)
    entering = SPACES[family].mixture.entering
    found = edge_weights(beta, entering)
    assert sorted(row for rows in entering for row in rows) == list(range(len(beta)))
    for rows in entering:
        torch.testing.assert_close(found[list(rows)], beta[list(rows)].softmax(0))


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("number", [0, 14 + 1])
def test_an_edge_is_its_formula(number, size):
    """Edges 0 and 15 of darts have strides 1 and 2; the identity alone counts, then the mean."""
    edge = SPACES["darts"].mixture.edges[number]
    torch.manual_seed(4)
    own = PartialEdge(edge, parts=2, level="none", normalise=False).double()
    stride = 1 if number == 0 else 2
    assert own.stride == stride
    width = edge.sequences[1][0].before
    x = torch.randn(3, 2 * width, size, size, dtype=torch.float64)
    alpha = torch.full((8,), -1e9, dtype=torch.float64)
    alpha[2 if stride == 2 else 3] = 0
    around = x[:, width:]
    mixed = x[:, :width]
    if stride == 2:
        around = functional.max_pool2d(around, 2, ceil_mode=True)
        mixed = functional.avg_pool2d(mixed, 3, 2, 1, count_include_pad=False)
        mixed = functional.batch_norm(mixed, None, None, training=True)
    wanted = functional.channel_shuffle(torch.cat((mixed, around), 1), 2)
    both = own.both(NodeValue(x, shares=False), Soft(alpha))
    found = shuffled_sum([both, both], torch.tensor([0.75, 0.25], dtype=x.dtype), 2)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("family", SPACES)
@pytest.mark.parametrize(("first", "second"), [("none", "prefix"), ("suffix", "merge")])
def test_levels_that_are_the_same_function(family, first, second):
    own = architecture(family)
    found = []
    for level in (first, second):
        value = logits(made(family, level), *own)
        weight = torch.linspace(-1, 1, value.numel(), dtype=torch.float64).view_as(value)
        found.append((value, *torch.autograd.grad((value * weight).sum(), own)))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize("level", SPACES["nb201"].mixture.levels)
def test_a_vertex_is_the_cell_alone(level):
    net = made("nb201", level, normalise=level in ("suffix", "merge"))
    _, beta = architecture("nb201")
    weights = edge_weights(beta.detach(), net.space.mixture.entering)
    alone = net.single_paths(weights).double()
    for cell in ([3, 0, 3, 1, 0, 1], [2, 3, 4, 1, 3, 2], [0, 0, 4, 0, 2, 3]):
        alpha = torch.full((6, 5), -1e9, dtype=torch.float64)
        alpha[torch.arange(6), torch.tensor(cell)] = 0
        wanted = alone(X, net.space.check_row(cell))
        torch.testing.assert_close(logits(net, alpha, beta), wanted, atol=1e-10, rtol=0)


@pytest.mark.parametrize("family", SPACES)
def test_kernels_of_single_paths_are_those_of_the_mixture(family):
    net = made(family, "none")
    alone = net.single_paths()
    for edge, own in zip(net.space.mixture.edges, net.edges, strict=True):
        for candidate, key in enumerate(edge.keys):
            if key is not None:
                weights = [w for w in alone.block(key).parameters() if w.ndim == 4]
                assert len(weights) == len(own.alone(candidate))


def test_every_share_and_edge_has_a_gradient():
    net = made("nb201", "merge", normalise=True)
    own = architecture("nb201")
    value = logits(net, *own)
    of_alpha, of_beta = torch.autograd.grad(value.square().sum(), own)
    assert (of_alpha != 0).all()
    assert (of_beta[1:] != 0).all()  # The only edge into the first node has the weight 1.
    assert of_alpha.sum(1).abs().max() < 1e-11
    for rows in net.space.mixture.entering:
        assert of_beta[list(rows)].sum().abs() < 1e-11


def test_gradients_of_the_architecture_are_those_of_finite_differences():
    net = made("nb201", "merge", normalise=True)
    alpha, beta = (0.3 * own.detach() for own in architecture("nb201"))
    assert torch.autograd.gradcheck(
        lambda *own: logits(net, *own), [alpha.requires_grad_(), beta.requires_grad_()]
    )
