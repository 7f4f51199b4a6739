"""Mixtures whose separable convolutions one operator computes, against PyTorch's layers."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from stnas.space import SearchSpace
from stnas.space.cells.partial import partial_space
from stnas.supernet.mixture import Drawn, MixedNet, Soft, edge_weights

SIZES = {"image_size": 9, "in_channels": 1, "num_classes": 3}
SPACE = SearchSpace.profile("micro", family="darts", channels=4, **SIZES)
PARTIAL = partial_space(SearchSpace.profile("micro", family="darts", channels=8, **SIZES), 4)
X = torch.randn(4, 1, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
LEVELS = SPACE.mixture.levels


def made(space, level, kernels):
    torch.manual_seed(0)
    normalise = level in LEVELS[2:]
    return MixedNet(space, level=level, normalise=normalise, kernels=kernels).double()


def outcome(space, level, kernels, shares, *others):
    """Return logits and the gradients of the weights and of ``others``."""
    net = made(space, level, kernels)
    logits = net(X, *shares)
    weight = torch.linspace(-1, 1, logits.numel(), dtype=torch.float64).view_as(logits)
    leaves = [*net.parameters(), *others]
    return logits.detach(), torch.autograd.grad((logits * weight).sum(), leaves, allow_unused=True)


class Calls(TorchDispatchMode):
    """Counts the calls of the operator that have a depthwise convolution."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.stnas.relu_dw_pw_bn_forward.default:
            self.count += args[1][0].numel() > 0
        return function(*args, **(kwargs or {}))


def operators(run):
    with Calls() as calls:
        run()
    return calls.count


def assert_same(space, level, shares, *others):
    ours, plain = (outcome(space, level, k, shares(), *others) for k in ("fused", "reference"))
    torch.testing.assert_close(ours[0], plain[0], rtol=1e-9, atol=1e-9)
    for own, wanted in zip(ours[1], plain[1], strict=True):
        assert (own is None) == (wanted is None)
        if own is not None:
            torch.testing.assert_close(own, wanted, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("level", LEVELS)
def test_mixtures_equal_those_of_torchs_layers(level):
    generator = torch.Generator().manual_seed(0)
    alpha = torch.randn(28, 8, dtype=torch.float64, generator=generator).requires_grad_()
    assert_same(SPACE, level, lambda: ([Soft(row) for row in alpha],), alpha)


@pytest.mark.parametrize("level", ["none", "merge", "float"])
def test_drawn_candidates_equal_those_of_torchs_layers(level):
    weight = torch.ones((), dtype=torch.float64, requires_grad=True)
    drawn = [Drawn(row % 8, weight) for row in range(28)]
    assert_same(SPACE, level, lambda: (drawn,), weight)


@pytest.mark.parametrize("level", ["none", "float"])
def test_parts_of_the_channels_equal_those_of_torchs_layers(level):
    generator = torch.Generator().manual_seed(0)
    alpha = torch.randn(28, 8, dtype=torch.float64, generator=generator).requires_grad_()
    beta = torch.randn(28, dtype=torch.float64, generator=generator).requires_grad_()

    def shares():
        return [Soft(row) for row in alpha], edge_weights(beta, PARTIAL.mixture.entering)

    assert_same(PARTIAL, level, shares, alpha, beta)


@pytest.mark.parametrize(
    ("level", "calls"), [("none", 6), ("suffix", 3), ("merge", 3), ("float", 2)]
)
def test_how_often_the_operator_is_called(level, calls):
    """Of sep3, sep5 two halves each, of dil3 and dil5 one: 14 edges a cell, three cells."""
    alpha = torch.zeros(28, 8, dtype=torch.float64)
    shares = [Soft(row) for row in alpha]
    net = made(SPACE, level, "fused")
    assert operators(lambda: net(X, shares)) == 3 * 14 * calls
    assert operators(lambda: made(SPACE, level, "reference")(X, shares)) == 0
