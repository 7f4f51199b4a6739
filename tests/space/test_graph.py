"""The graph of nodes and edges: the paper's counts, shapes that agree, spaces of other forms."""

import subprocess
import sys
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnas.space import SearchSpace
from stnas.space.topology import Operation, edges_of

PROFILES = ["imagenet", "parity", "small", "micro", "nano"]


def count(space, kind, *, stride_one):
    return sum(e.kind == kind and (e.stride == 1) == stride_one for e in edges_of(space))


@pytest.mark.parametrize("name", ["imagenet", "parity"])
def test_the_papers_graph(name):
    space = SearchSpace.profile(name)
    assert len(space.nodes) == 20
    assert space.num_genes == len(edges_of(space)) == 54
    assert count(space, "stem", stride_one=True) == 15
    assert count(space, "stem", stride_one=False) == 4
    assert count(space, "branch", stride_one=True) == 17
    assert count(space, "branch", stride_one=False) == 18
    assert space.num_topologies == 2**35 == 2 ** (2 * (20 - 3) + 1)
    assert space.num_architectures == 10**15 * 9**4 * 11**17 * 10**18


def test_the_small_profile_has_10_and_17_edges():
    edges = edges_of(SearchSpace.profile("small"))
    assert [sum(e.kind == kind for e in edges) for kind in ("stem", "branch")] == [10, 17]


def test_resolutions_of_imagenet_halve_from_112_to_7():
    nodes = SearchSpace.profile("imagenet").nodes
    assert [n.resolution for n in nodes] == [112] * 2 + [56] * 2 + [28] * 4 + [14] * 8 + [7] * 4
    assert [n.name for n in nodes[:2]] == ["v1", "v2"]


def test_an_edge_over_two_stages_has_stride_4():
    edges = {edge.name: edge for edge in edges_of(SearchSpace.profile("imagenet"))}
    edge = edges["v2->v5"]
    assert (edge.stride, edge.in_resolution, edge.out_resolution) == (4, 112, 28)
    assert (edge.kind, edge.distance, edge.in_channels, edge.out_channels) == ("branch", 3, 16, 32)


@pytest.mark.parametrize("name", PROFILES)
def test_genes_are_ordered_by_target_then_distance(name):
    edges = edges_of(SearchSpace.profile(name))
    assert [e.index for e in edges] == list(range(len(edges)))
    assert [(e.target, e.distance) for e in edges] == sorted((e.target, e.distance) for e in edges)


def test_choices_are_kernel_major_with_none_first_and_identity_last():
    edges = {edge.name: edge for edge in edges_of(SearchSpace.profile("imagenet"))}
    blocks = [f"k{k}e{e}" for k in (3, 5, 7) for e in (1, 3, 6)]
    assert [op.name for op in edges["v1->v2"].choices] == [*blocks, "identity"]
    assert [op.name for op in edges["v2->v3"].choices] == blocks
    assert [op.name for op in edges["v5->v7"].choices] == ["none", *blocks, "identity"]
    assert [op.name for op in edges["v1->v3"].choices] == ["none", *blocks]
    assert edges["v1->v2"].choices[5] == Operation("bottleneck", 5, 6)


@pytest.mark.parametrize(
    ("residual", "stem", "branch"), [("stem", 15, 0), ("none", 0, 0), ("all", 15, 17)]
)
def test_residual_edges(residual, stem, branch):
    edges = edges_of(SearchSpace.profile("imagenet", residual=residual))
    found = [sum(e.residual and e.kind == kind for e in edges) for kind in ("stem", "branch")]
    assert found == [stem, branch]
    assert all(e.stride == 1 and e.in_channels == e.out_channels for e in edges if e.residual)


@given(
    size=st.integers(1, 301),
    stages=st.lists(st.integers(1, 4), min_size=1, max_size=5).filter(lambda s: sum(s) > 1),
    stride=st.integers(1, 3),
    distances=st.sets(st.integers(2, 6), max_size=3),
)
def test_every_edge_into_a_node_gives_its_resolution(size, stages, stride, distances):
    space = SearchSpace.profile(
        "micro",
        image_size=size,
        stages=tuple(stages),
        widths=(4,) * len(stages),
        stem_stride=stride,
        branch_distances=tuple(sorted(distances)),
    )
    assert space.nodes[0].resolution == (size + 2 - 3) // stride + 1
    for edge in edges_of(space):
        for kernel in (1, 3, 5, 7):
            padded = edge.in_resolution + 2 * (kernel // 2)
            assert (padded - kernel) // edge.stride + 1 == edge.out_resolution
        has_identity = edge.choices[-1].kind == "identity"
        same = space.nodes[edge.source].stage == space.nodes[edge.target].stage
        assert has_identity == same


def test_a_chain_space_has_stem_edges_only():
    space = SearchSpace.profile("imagenet", branch_distances=())
    assert [edge.kind for edge in edges_of(space)] == ["stem"] * 19
    assert space.num_topologies == 1
    assert space.num_architectures == 10**15 * 9**4


def test_distances_beyond_the_nodes_give_no_edges():
    space = SearchSpace.profile("nano", branch_distances=(2, 100))
    assert {edge.distance for edge in edges_of(space)} == {1, 2}


def test_parts_are_frozen_and_spaces_compare_by_description():
    space = SearchSpace.profile("nano")
    with pytest.raises(FrozenInstanceError):
        edges_of(space)[0].stride = 2
    again = SearchSpace.from_json(dict(space.recipe))
    assert space == again
    assert hash(space) == hash(again)
    assert space != SearchSpace.profile("micro")
    assert "'stages': [2, 2, 2]" in repr(space)
    assert eval(repr(space), {"SearchSpace": SearchSpace}) == space


def test_importing_the_space_leaves_torch_out():
    code = "import sys, stnas, stnas.space; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
