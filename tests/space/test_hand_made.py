"""Hand-made networks: their sizes, what they compute, and that they come back from JSON."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stnas.ops.flops import count_madds
from stnas.space import SearchSpace
from stnas.space.hand_made import KINDS, Spec, build, scaled
from stnas.supernet import Network

MICRO = SearchSpace.profile("micro", stem_stride=2)


def cost(space):
    return int(space.madds(np.zeros((1, space.num_genes), np.int8))[0])


def network(space):
    return Network.build(space, np.zeros(space.num_genes, np.int8)).eval()


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(400_000, 20_000_000))
def test_multiply_adds_are_within_two_percent(kind, madds):
    assert abs(cost(scaled(kind, MICRO, madds)) / madds - 1) <= 0.02


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "like", [MICRO, SearchSpace.profile("nano", in_channels=3, num_classes=4, image_size=33)]
)
def test_what_is_counted_is_what_is_computed(kind, like):
    space = scaled(kind, like, 1_000_000)
    own = network(space)
    head = like.head
    shape = (head.in_channels, head.image_size, head.image_size)
    assert own(torch.randn(2, *shape)).shape == (2, head.num_classes)
    assert count_madds(own, shape) == cost(space)
    parameters = sum(parameter.numel() for parameter in own.parameters())
    assert parameters == int(space.params(np.zeros((1, space.num_genes), np.int8))[0])
    assert space.head == build(Spec.from_json(without_family(space.recipe))).head
    assert space.head.tail_width == head.tail_width


def without_family(recipe):
    return {name: value for name, value in recipe.items() if name != "family"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_recipe_builds_the_same_space(kind):
    space = scaled(kind, MICRO, 700_000)
    again = SearchSpace.from_json(dict(space.recipe))
    text = space.format(np.zeros(space.num_genes, np.int8))
    assert again.fingerprint == space.fingerprint
    assert again.parse(text).tolist() == [0] * space.num_genes
    other = scaled(kind, MICRO, 1_400_000)
    with pytest.raises(ValueError, match="one of the space hm1"):
        other.parse(text)


def test_half_of_the_channels_passes_a_shuffle_unit_by():
    space = build(Spec("shufflenet_v2", widths=(8, 16), image_size=8))
    blocks = list(network(space).edges.values())
    x = torch.randn(1, 8, 8, 8)
    assert torch.equal(blocks[0](x)[:, ::2], x[:, :4])
    assert blocks[2](x).shape == (1, 16, 4, 4)
    grown = torch.randn(1, 8, 8, 8, requires_grad=True)
    blocks[2](grown)[:, ::2].sum().backward()
    assert (grown.grad.abs().sum((0, 2, 3)) > 0).all()


def test_a_number_below_the_smallest_gives_the_smallest():
    space = scaled("separable", MICRO, 10)
    assert set(space.recipe["widths"]) == {1}


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"space\.kind must be one of separable, mobilenet_v2"):
        Spec("resnet", widths=(8,))
