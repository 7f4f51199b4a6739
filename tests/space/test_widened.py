"""Networks with other channels: the same genes in a space that is wider or narrower."""

import pytest

from stnas.space import SearchSpace, SpaceBuilder
from stnas.space.families import FAMILIES, widened

NAMED = [(family, name) for family, own in FAMILIES.items() for name in own.PROFILES]


@pytest.mark.parametrize(("family", "name"), NAMED, ids=str)
def test_every_family_has_wider_networks_of_the_same_genes(family, name):
    space = SearchSpace.profile(name, family=family)
    drawn = space.sample(3, p_drop=0.5, seed=0)
    wide = widened(space, 1.5)
    assert [own.choices for own in wide.genes] == [own.choices for own in space.genes]
    assert (wide.params(drawn) > space.params(drawn)).all()
    for node, own in zip(wide.nodes, space.nodes, strict=True):
        assert node.width % 4 == 0
        assert abs(node.width - 1.5 * own.width) <= 2 * max(1, own.width / 16)
        assert node.resolution == own.resolution
    assert SearchSpace.from_json(wide.recipe) == wide
    assert wide.parse(wide.format(drawn[0])).tolist() == drawn[0].tolist()


def test_a_factor_of_one_is_the_space_itself_and_small_ones_leave_four_channels():
    space = SearchSpace.profile("micro")
    assert widened(space, 1) is space
    assert {node.width for node in widened(space, 0.1).nodes} == {4}


def test_a_space_of_a_function_is_scaled_by_its_function():
    builder = SpaceBuilder("own")
    node = builder.stem(8, 8)
    builder.choose(node, "b", {"skip": None})
    space = builder.build(tail=8, classes=2)
    with pytest.raises(ValueError, match="width must be 1 for a space that a function builds"):
        widened(space, 2)
