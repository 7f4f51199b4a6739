"""Spaces of bits: the paper's BitOps, profiles, and wrong descriptions."""

import numpy as np
import pytest

from stnas.config import Config, SearchConfig, SpaceConfig
from stnas.search.candidates import Bounds
from stnas.space import SearchSpace
from stnas.space.quant import uniform

COUNTS = {
    # name: MAdds, MAdds of the blocks, blocks
    "resnet18": (1_814_073_344, 1_695_547_392, 8),
    "resnet34": (3_663_761_408, 3_545_235_456, 16),
    "resnet20": (40_813_184, 40_370_176, 9),
    "resnet14": (5_074_368, 5_017_600, 6),
}
PUBLISHED = {"resnet18": ("6.32", "14.21", "25.27"), "resnet34": ("13.21", "29.72", "52.83")}
"""Giga BitOps at 2, 3 and 4 bits everywhere in the paper, whose giga is 2^30."""
SMALL = SearchSpace.profile("resnet14")


def lowest(space):
    return np.zeros((1, space.num_genes), np.int8)


@pytest.mark.parametrize("name", COUNTS)
def test_profiles_cost_what_their_table_says(name):
    madds, quantised, blocks = COUNTS[name]
    space = SearchSpace.profile(name, bits=("w1a1",))
    assert space.madds(lowest(space))[0] == madds
    assert space.costs["bitops"](lowest(space))[0] == quantised
    assert SearchSpace.profile(name).num_architectures == 6**blocks


@pytest.mark.parametrize(("name", "params"), [("resnet20", 272_474), ("resnet14", 44_226)])
def test_parameters(name, params):
    space = SearchSpace.profile(name)
    assert space.params(lowest(space))[0] == params


@pytest.mark.parametrize("name", PUBLISHED)
def test_bit_operations_are_the_paper_s(name):
    spaces = [SearchSpace.profile(name, bits=(f"w{k}a{k}",)) for k in (2, 3, 4)]
    found = [space.costs["bitops"](lowest(space))[0] / 2**30 for space in spaces]
    assert tuple(f"{own:.2f}" for own in found) == PUBLISHED[name]


def test_a_gene_is_the_place_of_a_pair():
    genes = np.array([0, 1, 2, 3, 4, 5])
    text = SMALL.format(genes)
    assert text.startswith(f"qb1-{SMALL.fingerprint}-012345-")
    assert SMALL.parse(text).tolist() == genes.tolist()
    assert SMALL.describe(genes)[3] == "v4 -> v5 stem w2a4"
    assert SearchSpace.from_json(SMALL.recipe) == SMALL
    layers = SMALL.madds_by_layer(genes)
    assert sum(layers.values()) == SMALL.madds(genes[None])[0]
    assert not any("tail" in name for name in layers)
    bits = (2, 4, 4, 8, 12, 16)
    each = [sum(n for name, n in layers.items() if name.startswith(f"v{i}->")) for i in range(1, 7)]
    wanted = sum(own * madds for own, madds in zip(bits, each, strict=True))
    assert SMALL.costs["bitops"](genes[None].astype(np.int8))[0] == wanted


def test_uniform_bits_of_a_cost():
    base = 5_017_600
    for bitops, bits in ((4 * base, 2), (9 * base - 1, 2), (9 * base, 3), (base - 1, 1)):
        space = uniform(SMALL, bitops)
        assert space.genes[0].choices == (f"w{bits}a{bits}",)
        assert space.costs["bitops"](lowest(space))[0] == bits**2 * base


def test_random_networks_are_aimed_by_their_bits():
    cost = SMALL.costs["bitops"]
    means = [cost(SMALL.sample(500, p_drop=p, seed=0)).mean() for p in (0.1, 0.5, 0.9)]
    assert means[0] > means[1] > means[2]
    assert SMALL.nearest_p_drop(1.0) == 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bits": ("w0a2",)}, r"space.bits must be pairs of 1 to 8 bits each, got 'w0a2'"),
        ({"bits": ("w2a9",)}, r"space.bits must be pairs of 1 to 8 bits each, got 'w2a9'"),
        ({"bits": ("2x4",)}, r"space.bits must be pairs .* write w2a4"),
        ({"bits": ()}, r"space.bits must be 1 to 35 different pairs, got \(\)"),
        ({"bits": ("w2a2", "w2a2")}, r"space.bits must be 1 to 35 different pairs"),
        ({"image_size": 4}, r"space.image_size must be at least 5 .* got 4"),
        ({"dropout": 1.0}, r"space.dropout must lie in \[0, 1\), got 1.0"),
        ({"kernels": (3,)}, r"with space.family quant, got 'kernels'"),
    ],
)
def test_wrong_descriptions_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        SearchSpace.profile("resnet14", **changes)


@pytest.mark.parametrize("space", [{"family": "quant"}, {}], ids=str)
def test_compiled_kernels_are_refused(space):
    with pytest.raises(ValueError, match=r"kernels must be reference .* set --kernels reference"):
        Config(space=SpaceConfig(profile="resnet14", **space))
    config = Config(space=SpaceConfig(profile="resnet14", **space), kernels="reference")
    assert config.kernels == "reference"


def test_bounds_on_bit_operations():
    bounds = Bounds(SMALL, SearchConfig(bitops_max=20_070_400))
    rows = np.array([[1] * 6, [2] * 6, [1, 1, 1, 1, 1, 3]], np.int8)
    assert bounds.hold(rows).tolist() == [True, True, False]
    chain = SearchSpace.profile("nano", family="spos")
    with pytest.raises(ValueError, match=r"search.bitops_max must be left out without .* quant"):
        Bounds(chain, SearchConfig(bitops_max=1e7))
    with pytest.raises(ValueError, match=r"bitops"):
        Bounds(SMALL, SearchConfig(bitops_max=1e6))
