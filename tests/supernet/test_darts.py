"""The cells of DARTS as modules: networks, and mixtures at every level of sharing."""

import numpy as np
import pytest
import torch
from torch import nn

from stnas.ops.flops import count_madds
from stnas.space import SearchSpace
from stnas.space.cells.darts_text import NODES, cells
from stnas.supernet import Network, SuperNet, Trie
from stnas.supernet.blocks.cells import SeparableHalves
from stnas.supernet.mixture import Drawn, MixedNet, Soft
from stnas.supernet.mixture.edge import MixedEdge, NodeValue

SPACE = SearchSpace.profile(
    "micro", family="darts", channels=2, image_size=9, in_channels=1, num_classes=3
)
MIXED = SPACE.mixture
ROWS = SPACE.sample(4, p_drop=0.5, seed=0)
X = torch.randn(4, 1, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "".join(map(str, row)))
def test_a_network_costs_what_its_description_says(row):
    network = Network.build(SPACE, row)
    assert count_madds(network, (1, 9, 9)) == SPACE.madds(row[None])[0]
    assert sum(p.numel() for p in network.parameters()) == SPACE.params(row[None])[0]
    assert network(X.float()).shape == (4, 3)


def test_the_hyper_network_has_the_published_number_of_parameters():
    """The authors' log has 1.930618 MB with an affine BN in the stem, which ours lacks."""
    paper = SearchSpace.profile("paper", family="darts")
    count = sum(p.numel() for p in MixedNet(paper).parameters())
    assert count + 2 * paper.nodes[0].width == 1_930_618


def made(level, *, normalise=False):
    torch.manual_seed(0)
    return MixedNet(SPACE, level=level, normalise=normalise, kernels="reference").double()


def alphas(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(28, 8, dtype=torch.float64, generator=generator).requires_grad_()


def outcome(level, alpha, *, normalise=False):
    net = made(level, normalise=normalise)
    logits = net(X, [Soft(row) for row in alpha])
    weight = torch.linspace(-1, 1, logits.numel(), dtype=torch.float64).view_as(logits)
    (gradient,) = torch.autograd.grad((logits * weight).sum(), alpha)
    return logits.detach(), gradient


@pytest.mark.parametrize(("first", "second"), [("none", "prefix"), ("suffix", "merge")])
def test_levels_that_are_the_same_function(first, second):
    alpha = alphas()
    pairs = zip(outcome(first, alpha), outcome(second, alpha), strict=True)
    assert max(float((a - b).abs().max()) for a, b in pairs) < 1e-10


@pytest.mark.parametrize("level", MIXED.levels)
def test_every_share_has_a_gradient_and_rows_sum_to_nothing(level):
    _, gradient = outcome(level, alphas(), normalise=level in MIXED.levels[2:])
    assert (gradient != 0).all()
    assert gradient.sum(1).abs().max() < 1e-11


def vertex(row):
    """Return the choice of every row of alpha: 0 where a cell has no edge."""
    chosen = []
    for cell in cells(row):
        for node in NODES:
            own = dict(cell[node])
            chosen += [own.get(source, 0) for source in range(node)]
    return chosen


@pytest.mark.parametrize("level", MIXED.levels)
@pytest.mark.parametrize("normalise", [True, False])
def test_a_vertex_is_the_cell_alone(level, normalise):
    net = made(level, normalise=normalise)
    alone = net.single_paths().double()
    for row in ROWS:
        alpha = torch.full((28, 8), -1e9, dtype=torch.float64)
        alpha[torch.arange(28), torch.tensor(vertex(row))] = 0
        wanted = alone(X, row)
        mixed = net(X, [Soft(own) for own in alpha])
        torch.testing.assert_close(mixed, wanted, atol=1e-9, rtol=0)
        one = torch.ones((), dtype=torch.float64)
        drawn = net(X, [Drawn(choice, one) for choice in vertex(row)])
        torch.testing.assert_close(drawn, wanted, atol=1e-9, rtol=0)


def test_gradients_of_an_edge_that_floats_are_those_of_finite_differences():
    torch.manual_seed(2)
    edge = MixedEdge(MIXED.edges[0], level="float", normalise=True).double()
    x = torch.randn(3, 2, 9, 9, dtype=torch.float64)
    alpha = alphas()[0].detach().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda own: edge(NodeValue(x, shares=True), Soft(own)), [alpha], atol=1e-4
    )


def test_paths_computed_together_are_those_computed_alone(calibrated):
    torch.manual_seed(0)
    supernet = SuperNet(SPACE)
    batches = [torch.randn(6, 1, 9, 9) for _ in range(2)]
    trie = Trie(supernet, np.stack(ROWS))
    for number, batch in enumerate(batches, start=1):
        trie.observe_(batch, momentum=1 / number)
    found = dict(trie.logits(batches[0]))
    for row, leaf in zip(ROWS, trie.leaves, strict=True):
        alone = calibrated(supernet, row, batches).eval()
        with torch.inference_mode():
            torch.testing.assert_close(found[leaf], alone(batches[0]), rtol=1e-4, atol=1e-5)


def trained(network, momentum):
    """Take a step of training, and evaluate: logits, gradients and statistics."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = momentum
    network.train().zero_grad()
    logits = network(X)
    logits.pow(2).sum().backward()
    gradients = {name: own.grad for name, own in network.named_parameters()}
    with torch.inference_mode():
        return logits.detach(), network.eval()(X), gradients, dict(network.named_buffers())


def pair(row):
    """Make a network twice: by operators and of plain layers."""
    network, plain = (
        Network.build(SPACE, row, kernels=kernels).double() for kernels in ("fused", "reference")
    )
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for own in network.parameters():
            own.add_(torch.randn(own.shape, generator=generator, dtype=own.dtype), alpha=0.2)
    plain.load_state_dict(network.state_dict())
    return network, plain


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "".join(map(str, row)))
@pytest.mark.parametrize("momentum", [0.1, None], ids=str)
def test_a_network_trains_as_its_layers_do(row, momentum):
    network, plain = pair(row)
    for _ in range(2):
        torch.testing.assert_close(trained(network, momentum), trained(plain, momentum))


def test_layers_that_are_watched_or_frozen_are_called():
    network, plain = pair(ROWS[0])
    block = next(own for own in network.modules() if isinstance(own, SeparableHalves))
    seen = []
    block[1].register_forward_hook(lambda *_: seen.append(1))
    block[3].eval()
    twin = dict(zip(network.modules(), plain.modules(), strict=True))
    twin[block[3]].eval()
    torch.testing.assert_close(network(X), plain(X))
    assert seen == [1]
