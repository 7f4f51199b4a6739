"""A block bound to its tensors gives the bits of the block, and moves the same statistics."""

import copy

import pytest
import torch
from torch import Tensor

from stnas.ops.bottleneck.arguments import Norms, Options, affine_parameters, packed
from stnas.ops.bottleneck.block import linear_bottleneck, node_moments
from stnas.ops.bottleneck.inference import BoundBlock
from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.ops.layers.reference import BatchNorm

Parts = tuple[BottleneckWeights, Norms, Options]


def make(*, channels: int, hidden: int, stride: int, affine: bool, dtype: torch.dtype) -> Parts:
    """Draw a block with running statistics."""
    torch.manual_seed(0)
    shapes = [(hidden, channels, 1, 1), (hidden, 1, 3, 3), (2, hidden), (2,), (hidden, 2)]
    weights = [torch.randn(s, dtype=dtype) for s in (*shapes, (hidden,), (channels, hidden, 1, 1))]
    norms = [
        BatchNorm(*(torch.rand(c, dtype=dtype) + 0.5 if own or affine else None for own in OWN))
        for c in (hidden, hidden, channels)
    ]
    first, second, third = norms
    options = Options(stride, "relu6", stride == 1)
    return BottleneckWeights(*weights), (first, second, third), options


OWN = (False, False, True, True)
"""Which tensors of a BN layer do not depend on ``affine``."""


def bind(weights: BottleneckWeights, norms: Norms, options: Options) -> BoundBlock:
    """Bind a block to what its operators take."""
    return BoundBlock(packed(weights), affine_parameters(norms), options, norms)


def statistics(norms: Norms) -> list[Tensor]:
    """List running means and variances."""
    return [value for norm in norms for value in norm[2:] if value is not None]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize(("channels", "hidden", "stride"), [(5, 30, 1), (8, 8, 1), (17, 34, 2)])
def test_bits_are_those_of_the_block(
    channels: int, hidden: int, stride: int, affine: bool, dtype: torch.dtype
) -> None:
    weights, norms, options = make(
        channels=channels, hidden=hidden, stride=stride, affine=affine, dtype=dtype
    )
    own = copy.deepcopy(norms)
    bound = bind(weights, own, options)
    with torch.inference_mode():
        for size in (2, 5):
            x = torch.randn(size, channels, 7, 6, dtype=dtype)
            for known in ({}, {"moments": node_moments(x)}):
                state = {"training": True, "momentum": 1 / size}
                expected = linear_bottleneck(x, weights, norms, **options._asdict(), **state)
                assert torch.equal(bound(x, **state, **known), expected)
            for moved, wanted in zip(statistics(own), statistics(norms), strict=True):
                assert torch.equal(moved, wanted)
            expected = linear_bottleneck(x, weights, norms, **options._asdict(), training=False)
            assert torch.equal(bound(x, training=False, momentum=0.0), expected)


def test_autocast_is_that_of_the_block() -> None:
    weights, norms, options = make(
        channels=8, hidden=24, stride=1, affine=False, dtype=torch.float32
    )
    x = torch.randn(2, 8, 5, 5)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = bind(weights, norms, options)(x, training=False, momentum=0.0)
        expected = linear_bottleneck(x, weights, norms, **options._asdict(), training=False)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected)


def test_statistics_that_were_saved_for_a_gradient_count_as_changed() -> None:
    weights, norms, options = make(
        channels=8, hidden=24, stride=1, affine=False, dtype=torch.float32
    )
    before = [value._version for value in statistics(norms)]
    with torch.no_grad():
        bind(weights, norms, options)(torch.randn(2, 8, 5, 5), training=True, momentum=0.1)
    assert [value._version for value in statistics(norms)] == [version + 1 for version in before]


def test_wrong_calls_are_refused() -> None:
    weights, norms, options = make(
        channels=8, hidden=24, stride=1, affine=False, dtype=torch.float32
    )
    with pytest.raises(ValueError, match="norms must have running statistics"):
        bind(weights, (BatchNorm(), *norms[1:]), options)
    bound = bind(weights, norms, options)
    with pytest.raises(RuntimeError, match="no gradient: call it under"):
        bound(torch.randn(2, 8, 5, 5), training=False, momentum=0.0)
    with torch.no_grad():
        with pytest.raises(ValueError, match="4 dimensions"):
            bound(torch.randn(8, 5, 5), training=False, momentum=0.0)
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            bound(torch.randn(1, 8, 1, 1), training=True, momentum=0.1)
        with pytest.raises(ValueError, match="have the dtype of x"):
            bound(torch.randn(2, 8, 5, 5).double(), training=False, momentum=0.0)
