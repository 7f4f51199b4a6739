"""Spaces of one's own: what the builder makes and refuses, costs that genes decide together."""

import copy
import itertools
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from stnas.space import Arc, Gene, Head, Layer, Node, SearchSpace, SpaceBuilder


@dataclass(frozen=True)
class Conv:
    in_channels: int
    out_channels: int
    kernel: int = 3
    stride: int = 1

    def layers(self, option=0):
        weights = (option + 1) * self.kernel**2 * self.in_channels * self.out_channels
        return {"conv": Layer(weights * 4, weights)}


def diamond(**options):
    """Build v1 -> v2, and v3 from both, the second edge optional."""
    builder = SpaceBuilder("diamond")
    first = builder.stem(4, 8, stride=2)
    second = builder.choose(first, "a", {"k3": Conv(4, 4), "k5": Conv(4, 4, 5), "skip": None})
    third = builder.node(6, 4, join=options.pop("join", "sum"))
    builder.edge(second, third, "b", {"k3": Conv(4, 6, 3, 2)})
    builder.edge(first, third, "c", {"k3": Conv(4, 6, 3, 2), "k1": Conv(4, 6, 1, 2)}, optional=True)
    return builder.build(tail=8, classes=3, channels=1, **options)


def every_genotype(space):
    return np.array(list(itertools.product(*map(range, space.choice_counts))), np.int8)


def test_the_value_has_what_was_built():
    space = diamond()
    assert [gene.choices for gene in space.genes] == [
        ("k3", "k5", "skip"), ("k3",), ("none", "k3", "k1"),
    ]  # fmt: skip
    assert [gene.optional for gene in space.genes] == [False, False, True]
    assert [(n.width, n.resolution, n.stage) for n in space.nodes] == [
        (4, 8, 0),
        (4, 8, 0),
        (6, 4, 1),
    ]
    assert (space.head.image_size, space.head.stem_stride) == (16, 2)
    assert sorted(space.parts) == ["a.k3", "a.k5", "b.k3", "c.k1", "c.k3"]
    assert space.num_architectures == 9
    assert space.num_topologies == 2


def test_arcs_of_an_architecture():
    space = diamond()
    arcs = space.arcs_of(np.array([2, 0, 2], np.int8))
    assert [(a.source, a.target, a.part) for a in arcs] == [
        (0, 1, None), (1, 2, "b.k3"), (0, 2, "c.k1"),
    ]  # fmt: skip
    assert [a.part for a in space.arcs_of(np.array([0, 0, 0], np.int8))] == ["a.k3", "b.k3"]
    assert space.describe([1, 0, 1]) == [
        "v1 -> v2 stem k5", "v2 -> v3 stem k3", "v1 -> v3 branch k3",
    ]  # fmt: skip


def test_costs_are_sums_of_layers():
    space = diamond()
    for row in every_genotype(space):
        layers = space.madds_by_layer(row)
        assert sum(layers.values()) == space.madds(row[None])[0]
        parts = [space.parts[a.part] for a in space.arcs_of(row) if a.part]
        own = sum(layer.params for part in parts for layer in part.layers().values())
        assert space.params(row[None])[0] == own + space.params_cost.fixed


def test_equal_networks_have_equal_keys():
    space = diamond()
    keys = space.canonical(every_genotype(space))
    assert len(set(keys)) == len(keys) == 9
    assert len(set(diamond(join="shadow").canonical(every_genotype(space)))) == 9


def test_texts_are_marked_by_what_the_genes_mean():
    space, row = diamond(), np.array([1, 0, 2], np.int8)
    assert np.array_equal(space.parse(space.format(row)), row)
    assert np.array_equal(space.parse_digits("102"), row)
    assert diamond(dropout=0.5).fingerprint == space.fingerprint
    assert diamond(activation="silu").fingerprint != space.fingerprint
    with pytest.raises(ValueError, match="belong to this space"):
        diamond(join="mean").parse(space.format(row))
    with pytest.raises(ValueError, match=r"genes must be digits.*got '-'"):
        space.parse_digits("1-2")
    with pytest.raises(ValueError, match=r"shape \[n, 3\]"):
        space.parse_digits("10")


def joint_space():
    """Two genes that decide an arc together, beside arcs of one gene and of none."""
    genes = (Gene("width", ("narrow", "wide")), Gene("kind", ("a", "b", "c"), optional=True))
    arcs = (
        Arc(0, 1, "always"),
        *(
            Arc(0, 1, "shared", option=2 * w + k, when=((0, w), (1, k)))
            for w in range(2)
            for k in (1, 2)
        ),
        Arc(0, 1, "own", when=((0, 1),)),
        Arc(1, 2, "last", when=((1, 0),)),
        Arc(1, 2, None, when=((1, 1),)),
        Arc(1, 2, None, when=((1, 2),)),
    )
    parts = {name: Conv(2, 2) for name in ("always", "shared", "own", "last")}
    nodes = tuple(Node(i, 0, 2, 4) for i in range(3))
    head = Head(in_channels=1, image_size=4, num_classes=2, stem_stride=1, tail_width=4)
    return SearchSpace(genes, nodes, arcs, parts, head, {"version": 1, "built": "joint"}, "0" * 8)


def test_genes_that_decide_together():
    space = joint_space()
    rows = every_genotype(space)
    counted = []
    for row in rows:
        arcs = space.arcs_of(row)
        assert all(row[gene] == choice for arc in arcs for gene, choice in arc.when)
        assert [a for a in space.arcs if all(row[g] == c for g, c in a.when)] == list(arcs)
        own = [space.parts[a.part].layers(a.option)["conv"].madds for a in arcs if a.part]
        counted.append(sum(own) + sum(space.head.layers(space.nodes[0], space.nodes[-1])[n].madds
                                      for n in ("stem", "tail", "classifier")))  # fmt: skip
    assert space.madds(rows).tolist() == counted
    chance = np.array([0.5 * (0.4 if row[1] == 0 else 0.3) for row in rows])
    mean = chance @ counted
    assert space.expected_madds(0.4) == pytest.approx(mean)
    assert space.variance_madds(0.4) == pytest.approx(chance @ (counted - mean) ** 2)
    spread = space.madds_distribution(0.4)
    assert not spread.exact
    assert set(spread.values.tolist()) == set(counted)
    assert spread.mean == pytest.approx(mean, rel=0.01)
    assert space.madds_cost.least <= min(counted)
    assert space.madds_cost.most >= max(counted)


def test_further_costs_are_found_by_name():
    class Depth:
        name, unit = "depth", "parts"

        def __call__(self, genotypes):
            return np.array([sum(a.part is not None for a in space.arcs_of(g)) for g in genotypes])

    space = diamond(costs=(Depth(),))
    assert list(space.costs) == ["madds", "params", "depth"]
    assert space.costs["depth"](every_genotype(space)[:2]).tolist() == [2, 3]


def refused(message):
    return pytest.raises(ValueError, match=message)


def test_wrong_graphs_are_refused():
    builder = SpaceBuilder("wrong")
    with refused("must have 2 nodes or more"):
        builder.build(tail=4, classes=2)
    node = builder.stem(4, 8)
    with refused("stem must come once"):
        builder.stem(4, 8)
    with refused(r"choice 'k3' of 'a' must turn 4 channels .* got a part from 5 to 4 channels"):
        builder.choose(node, "a", {"k3": Conv(5, 4)})
    builder = SpaceBuilder("wrong")
    node = builder.choose(builder.stem(4, 8), "a", {"k3": Conv(4, 4), "skip": None})
    with refused("choice 'skip' of 'b' must turn"):
        builder.choose(node, "b", {"k3": Conv(4, 6), "skip": None})
    with refused("edge c must lead to the newest node"):
        builder.edge(0, 1, "c", {"k3": Conv(4, 4)})


@pytest.mark.parametrize(
    ("name", "choices", "message"),
    [
        ("a b", {"k": None}, "names must be words"),
        ("b", {"k.3": None}, "names must be words"),
        ("b", {"none": None}, "names must be words"),
        ("a", {"k": None}, "not taken"),
        ("b", {}, "1 to 35 choices, got 0"),
        ("b", {f"k{i}": None for i in range(36)}, "1 to 35 choices, got 36"),
    ],
)
def test_wrong_choices_are_refused(name, choices, message):
    builder = SpaceBuilder("wrong")
    node = builder.choose(builder.stem(4, 8), "a", {"skip": None})
    with refused(message):
        builder.choose(node, name, choices)


def test_a_node_that_may_stay_empty_is_refused():
    builder = SpaceBuilder("wrong")
    first = builder.stem(4, 8)
    builder.edge(first, builder.node(4, 8), "a", {"skip": None}, optional=True)
    with refused("edge into v2 that is not optional"):
        builder.build(tail=4, classes=2)


def test_a_space_without_a_recipe_cannot_be_read_back():
    with pytest.raises(ValueError, match=r"built in Python.*space\.factory"):
        SearchSpace.from_json(dict(diamond().recipe))


@pytest.mark.parametrize("make", [diamond, lambda: SearchSpace.profile("nano")])
def test_a_space_goes_through_pickle_without_what_it_has_cached(make):
    space = make()
    before = len(pickle.dumps(space))
    row = space.sample(1, p_drop=0.5, seed=0)
    space.canonical(row)
    assert len(pickle.dumps(space)) == before
    again = pickle.loads(pickle.dumps(space))
    assert again == space
    assert again.arcs_of(row[0]) == space.arcs_of(row[0])
    assert again.madds(row).tolist() == space.madds(row).tolist()
    assert copy.deepcopy([space])[0] is space


def test_a_family_s_space_is_pickled_as_its_recipe():
    assert len(pickle.dumps(SearchSpace.profile("imagenet"))) < 1000
