"""The chain of NAS-Bench-Macro: the published counts, and what its blocks are made of."""

import numpy as np
import pytest
import torch

from stnas.ops.flops import count_madds
from stnas.space import SearchSpace
from stnas.supernet import Network, SuperNet

SPACE = SearchSpace.profile("nas_bench_macro")
PUBLISHED = {
    "00000000": (7_713_280, 387_882),
    "11111111": (53_246_464, 1_588_874),
    "22222222": (105_660_928, 2_932_586),
    "22212220": (85_164_544, 1_985_514),
}
"""Multiply-adds and parameters of four of the 6,561 networks in the table of Su et al. 2021
("Prioritized architecture sampling with Monto-Carlo tree search", NAS-Bench-Macro)."""


@pytest.mark.parametrize("digits", PUBLISHED)
def test_counts_are_the_published_ones(digits):
    row = SPACE.parse_digits(digits)[None]
    assert (SPACE.madds(row)[0], SPACE.params(row)[0]) == PUBLISHED[digits]


def test_it_has_3_to_the_8_networks_all_different():
    assert SPACE.num_architectures == 6561
    rows = np.stack([SPACE.parse_digits(np.base_repr(i, 3).zfill(8)) for i in range(0, 6561, 41)])
    assert len(set(SPACE.canonical(rows))) == len(rows)


@pytest.mark.parametrize("digits", ["00000000", "12012012", "22222222"])
def test_modules_cost_what_the_space_says(digits):
    space = SearchSpace.profile("nas_bench_macro_half")
    row = space.parse_digits(digits)
    network = Network.build(space, row)
    assert count_madds(network, (3, 32, 32)) == space.madds(row[None])[0]
    assert sum(p.numel() for p in network.parameters()) == space.params(row[None])[0]


def test_an_identity_is_one_only_where_shapes_agree():
    network = Network.build(SPACE, SPACE.parse_digits("00000000"))
    assert list(network.edges) == ["v1_v2", "v3_v4", "v6_v7"]
    assert all(len(block) == 2 for block in network.edges.values())


def test_a_recipe_builds_the_same_space():
    small = SearchSpace.profile("nas_bench_macro", stages=(1, 1), widths=(8, 12), stem_width=4)
    again = SearchSpace.from_json(dict(small.recipe))
    assert again == small
    assert again.fingerprint == small.fingerprint != SPACE.fingerprint
    assert small.format([1, 2]).startswith("mc1-")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"stages": (2, 3)}, ValueError, "space.widths must have one entry per stage"),
        ({"widths": (64, 0, 256)}, ValueError, "space.widths must be at least 1, got 0"),
        ({"tail_width": 1.5}, TypeError, "space.tail_width must be an integer"),
        ({"kernels": (3,)}, ValueError, "got 'kernels'.*leave it out with the profile"),
    ],
)
def test_wrong_changes_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        SearchSpace.profile("nas_bench_macro", **changes)


def test_the_hyper_network_trains_one_path():
    torch.manual_seed(0)
    space = SearchSpace.profile("nas_bench_macro", widths=(8, 12, 16), stem_width=4, tail_width=16)
    supernet, row = SuperNet(space), space.parse_digits("01201201")
    supernet(torch.randn(4, 3, 32, 32), row).sum().backward()
    moved = [i for i, p in enumerate(supernet.parameters()) if p.grad is not None]
    assert moved == sorted(supernet.active_parameters(row))
