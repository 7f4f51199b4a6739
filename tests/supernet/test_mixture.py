"""Sharing, after TopoNAS: which levels leave the function as it is, and where the others do."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from stnas.ops.separable.reference import embedded, normalised
from stnas.space import SearchSpace
from stnas.space.graph import Arc
from stnas.supernet import Network
from stnas.supernet.blocks import cells
from stnas.supernet.mixture import Drawn, MixedNet, Soft
from stnas.supernet.mixture.cells import find_cells
from stnas.supernet.mixture.edge import MixedEdge, NodeValue

SPACE = SearchSpace.profile(
    "micro", family="nb201", channels=4, image_size=9, in_channels=1, num_classes=4
)
MIXED = SPACE.mixture
X = torch.randn(3, 1, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def made(level, *, normalise=False, seed=0, kernels="fused", space=SPACE):
    torch.manual_seed(seed)
    return MixedNet(space, level=level, normalise=normalise, kernels=kernels).double()


def alphas(seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    values = scale * torch.randn(6, 5, dtype=torch.float64, generator=generator)
    return values.requires_grad_()


def outcome(net, alpha):
    """Return logits, and the gradients of their weighted sum for alpha and every kernel."""
    net.zero_grad()
    logits = net(X, [Soft(row) for row in alpha])
    weight = torch.linspace(-1, 1, logits.numel(), dtype=torch.float64).view_as(logits)
    of_alpha = torch.autograd.grad((logits * weight).sum(), [alpha, *net.parameters()])
    return logits, of_alpha


def furthest(first, second):
    pairs = zip((first[0], *first[1]), (second[0], *second[1]), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


def test_prefixes_are_the_same_function():
    alpha = alphas()
    assert torch.equal(outcome(made("none"), alpha)[0], outcome(made("prefix"), alpha)[0])
    assert furthest(outcome(made("none"), alpha), outcome(made("prefix"), alpha)) < 1e-13


@pytest.mark.parametrize("level", MIXED.levels)
def test_compiled_cells_are_the_same_function(level):
    space = SearchSpace.profile(
        "micro", family="nb201", channels=4, image_size=9, in_channels=1, num_classes=4, cells=2
    )
    normalise = level in ("suffix", "merge")
    nets = [
        made(level, normalise=normalise, kernels=kernels, space=space)
        for kernels in ("fused", "reference")
    ]
    assert len(nets[0].cells) == (0 if level == "suffix" else 6)
    assert furthest(*(outcome(net, alphas()) for net in nets)) < 1e-12


def test_layers_between_stages_are_called_where_somebody_watches(monkeypatch):
    calls, seen, alpha = [], [], alphas()
    compiled = cells.halving_block
    monkeypatch.setattr(cells, "halving_block", lambda *x: calls.append(1) or compiled(*x))
    net = made("merge")
    expected = outcome(net, alpha)
    assert len(calls) == len(net.blocks) == 2
    copied = copy.deepcopy(net)
    first = next(iter(net.blocks.values()))
    first.long[4].register_forward_hook(lambda *_: seen.append(1))
    assert furthest(outcome(net, alpha), expected) < 1e-12
    assert (len(calls), len(seen)) == (3, 1)
    assert furthest(outcome(copied, alpha), expected) == 0
    assert len(calls) == 5
    outcome(made("merge", kernels="reference"), alpha)
    assert len(calls) == 5


def test_cells_of_which_a_node_is_read_elsewhere_are_not_compiled():
    inner = next(iter(find_cells(SPACE, "merge").values())).first + 1
    arc = Arc(inner, len(SPACE.nodes) - 1)
    assert len(find_cells(SPACE, "merge")) == 3
    assert len(find_cells(replace(SPACE, arcs=[*SPACE.arcs, arc]), "merge")) == 1


def test_other_spaces_have_no_such_cells():
    assert not find_cells(SearchSpace.profile("micro", family="darts"), "merge")


@pytest.mark.parametrize("normalise", [True, False])
def test_merged_kernels_are_the_same_function(normalise):
    alpha = alphas()
    found = [outcome(made(level, normalise=normalise), alpha) for level in ("suffix", "merge")]
    assert furthest(*found) < 1e-12


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("grid", [1, 2])
def test_a_merged_kernel_is_the_sum_of_convolutions(stride, grid):
    torch.manual_seed(2)
    x = torch.randn(2, 4, 11, 10, dtype=torch.float64)
    small, large = (torch.randn(6, 4, k, k, dtype=torch.float64) for k in (3, 5))

    def conv(kernel):
        rim = grid * (kernel.shape[-1] // 2)
        return functional.conv2d(x, kernel, None, stride, rim, grid)

    merged = conv(0.3 * embedded(small, 5) + 0.7 * large)
    torch.testing.assert_close(merged, 0.3 * conv(small) + 0.7 * conv(large), atol=1e-13, rtol=0)


def one_hot(choices):
    alpha = torch.full((6, 5), -1e9, dtype=torch.float64)
    alpha[torch.arange(6), torch.tensor(choices)] = 0
    return [Soft(row) for row in alpha]


CELLS = [[3, 0, 3, 1, 0, 1], [2, 3, 4, 1, 3, 2], [4, 4, 2, 2, 1, 3], [0, 0, 0, 1, 0, 0]]


@pytest.mark.parametrize("level", MIXED.levels)
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_vertex_is_the_cell_alone(level, normalise, cell):
    net = made(level, normalise=normalise)
    alone = net.single_paths().double()
    torch.testing.assert_close(
        alone(X, SPACE.check_row(cell)), net(X, one_hot(cell)), atol=1e-12, rtol=0
    )
    drawn = [Drawn(choice, torch.ones((), dtype=torch.float64)) for choice in cell]
    torch.testing.assert_close(net(X, drawn), net(X, one_hot(cell)), atol=1e-12, rtol=0)


def test_suffixes_are_another_function_inside():
    alpha = alphas()
    first, second = (outcome(made(level), alpha)[0] for level in ("none", "suffix"))
    assert (first - second).abs().max() > 0.01


def pair(normalise):
    """Return an edge with a shared group, its node's value, and two architectures' alphas."""
    torch.manual_seed(3)
    edge = MixedEdge(MIXED.edges[0], level="merge", normalise=normalise).double()
    x = NodeValue(torch.randn(4, 4, 9, 9, dtype=torch.float64), shares=True)
    return edge, x, alphas(4)[0].detach(), alphas(5)[0].detach()


@pytest.mark.parametrize("normalise", [True, False])
def test_kernels_are_a_gauge_of_the_shares_unless_they_are_normalised(normalise):
    edge, x, alpha, other = pair(normalise)
    other = torch.cat((alpha[:2], other[2:4], alpha[4:]))
    other[2:4] += alpha[2:4].logsumexp(0) - other[2:4].logsumexp(0)
    before = edge(x, Soft(alpha))
    pairs = zip(Soft(alpha).within((2, 3)), Soft(other).within((2, 3)), strict=True)
    with torch.no_grad():
        for name, (old, new) in zip(("2_1", "3_1"), pairs, strict=True):
            edge.kernels[name].weight.mul_(old / new)
    moved = float((edge(x, Soft(other)) - before).abs().max())
    assert moved > 0.1 if normalise else moved < 1e-12


def test_with_normalised_kernels_their_lengths_are_a_gauge():
    edge, x, alpha, _ = pair(True)
    before = edge(x, Soft(alpha))
    with torch.no_grad():
        edge.kernels["3_1"].weight.mul_(torch.tensor([2.0, 0.5, 3.0, 7.0]).view(4, 1, 1, 1))
    torch.testing.assert_close(edge(x, Soft(alpha)), before, atol=1e-5, rtol=0)


def test_a_gradient_lies_across_its_normalised_kernel():
    kernel = torch.randn(5, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn_like(kernel)
    (gradient,) = torch.autograd.grad((normalised(kernel) * weight).sum(), kernel)
    inner = (gradient * kernel).sum((1, 2, 3))
    assert inner.abs().max() < 1e-5 < gradient.abs().max()
    norm = kernel.detach().flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    along = (kernel * weight).sum((1, 2, 3), keepdim=True)
    formula = weight / (norm + 1e-6) - kernel * along / (norm * (norm + 1e-6) ** 2)
    torch.testing.assert_close(gradient, formula.detach())


@pytest.mark.parametrize("level", MIXED.levels)
def test_every_share_has_a_gradient_and_rows_sum_to_nothing(level):
    alpha = alphas()
    gradient = outcome(made(level, normalise=level in ("suffix", "merge")), alpha)[1][0]
    assert (gradient != 0).all()
    assert gradient.sum(1).abs().max() < 1e-12


def test_gradients_of_the_shares_are_those_of_finite_differences():
    net = made("merge", normalise=True)
    assert torch.autograd.gradcheck(
        lambda alpha: net(X, [Soft(row) for row in alpha]), [alphas(scale=0.3)]
    )


def test_shares_are_safe_where_a_group_has_none():
    alpha = torch.tensor([0.0, -1e9, -1e9], dtype=torch.float64, requires_grad=True)
    soft = Soft(alpha)
    value = soft.of((1, 2)) * soft.within((1, 2))[0] + soft.of((0,))
    (gradient,) = torch.autograd.grad(value, alpha)
    assert torch.isfinite(gradient).all()
    assert value == 1


def test_the_derived_cell_is_that_of_the_largest_shares():
    weights = torch.eye(5)[[3, 0, 3, 1, 0, 1]].numpy()
    genotype = MIXED.derive(weights)
    assert genotype.tolist() == [3, 0, 3, 1, 0, 1]
    weights[0, 4] = 1.0
    assert MIXED.derive(weights)[0] == 3
    network = Network.build(SPACE, genotype)
    assert network(X.float()).shape == (3, 4)
