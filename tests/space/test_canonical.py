"""Canonical keys: equal exactly where the expanded networks are isomorphic."""

import itertools
from collections import Counter, defaultdict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stnas.space import SearchSpace
from stnas.space.canonical import SymbolGraph, certificate, coefficient_bound
from stnas.space.topology import edges_of, spec_of

IMAGENET = SearchSpace.profile("imagenet")
MICRO = SearchSpace.profile("micro")
TINY = {
    "one stage": {"stages": (4,), "widths": (2,), "expands": (1,)},
    "two stages": {"stages": (2, 2), "widths": (2, 2), "expands": (1,)},
    "two blocks": {"stages": (3,), "widths": (2,), "expands": (1, 3)},
}


def tiny(name, residual="stem", merge="sum"):
    return SearchSpace.profile(
        "nano", tail_width=2, kernels=(3,), residual=residual, merge=merge, **TINY[name]
    )


def every_genotype(space):
    return np.array(list(itertools.product(*map(range, space.choice_counts))), np.int8)


def expand(space, genotype):
    """Return the bottlenecks as (label, sum that they read) and the last node's sum."""
    blocks, values, entering = [], {0: {"input": Fraction(1)}}, defaultdict(list)
    for edge, gene in zip(edges_of(space), genotype, strict=True):
        operation = edge.choices[gene]
        if operation.kind == "bottleneck":
            shape = (operation.name, edge.in_channels, edge.out_channels, edge.stride)
            blocks.append((shape, dict(values[edge.source])))
            term = Counter({len(blocks) - 1: Fraction(1)})
            if edge.residual:
                term.update(values[edge.source])
            entering[edge.target].append(term)
        elif operation.kind == "identity":
            entering[edge.target].append(Counter(values[edge.source]))
        terms = entering[edge.target]
        part = Fraction(1, len(terms)) if spec_of(space).merge == "mean" and terms else Fraction(1)
        total = Counter()
        for term in terms:
            total.update({name: part * weight for name, weight in term.items()})
        values[edge.target] = dict(total)
    return blocks, values[len(space.nodes) - 1]


def smallest_form(space, genotype):
    """Return the smallest description over all orders of the bottlenecks."""
    blocks, last = expand(space, genotype)

    def form(order):
        def named(terms):
            items = ((-1 if s == "input" else order[s], weight) for s, weight in terms.items())
            return tuple(sorted(items))

        rows = sorted((order[i], shape, named(t)) for i, (shape, t) in enumerate(blocks))
        return tuple(rows), named(last)

    return min(form(order) for order in itertools.permutations(range(len(blocks))))


@pytest.mark.parametrize("merge", ["sum", "mean"])
@pytest.mark.parametrize("residual", ["stem", "none", "all"])
@pytest.mark.parametrize("name", TINY)
def test_keys_are_equal_exactly_where_the_networks_are(name, residual, merge):
    space = tiny(name, residual, merge)
    genotypes = every_genotype(space)
    forms = [smallest_form(space, genotype) for genotype in genotypes]
    keys = space.canonical(genotypes).tolist()
    assert len(set(forms)) == len(set(keys)) == len(set(zip(forms, keys, strict=True)))
    assert len(set(keys)) < len(genotypes)


@pytest.mark.parametrize("name", TINY)
def test_the_same_network_has_the_same_cost(name):
    space = tiny(name)
    genotypes = every_genotype(space)
    costs = defaultdict(set)
    rows = (space.canonical(genotypes), space.madds(genotypes), space.params(genotypes))
    for key, madds, params in zip(*(row.tolist() for row in rows), strict=True):
        costs[key].add((madds, params))
    assert all(len(cost) == 1 for cost in costs.values())


def test_the_place_of_a_stem_identity_does_not_matter():
    stem = [edge for edge in edges_of(MICRO) if edge.kind == "stem"]
    first, second = np.zeros((2, MICRO.num_genes), np.int8)
    first[stem[0].index], first[stem[1].index] = 9, 4
    second[stem[0].index], second[stem[1].index] = 4, 9
    keys = MICRO.canonical([first, second])
    assert keys[0] == keys[1]
    second[stem[0].index] = 5
    assert MICRO.canonical([second])[0] != keys[0]


@pytest.mark.parametrize(("residual", "same"), [("none", True), ("all", True), ("stem", False)])
def test_a_branch_is_a_stem_edge_past_an_identity_unless_one_has_a_residual(residual, same):
    space = tiny("one stage", residual)
    names = {edge.name: edge.index for edge in edges_of(space)}
    stem, branch = np.zeros((2, space.num_genes), np.int8)
    stem[names["v1->v2"]] = branch[names["v1->v2"]] = 1
    stem[names["v2->v3"]], stem[names["v1->v3"]] = 0, 2
    branch[names["v2->v3"]], branch[names["v1->v3"]] = 1, 1
    keys = space.canonical([stem, branch])
    assert (keys[0] == keys[1]) == same


def random_mixture(space, data):
    genes = []
    for edge in edges_of(space):
        likely = [len(edge.choices) - 1, 0, 1]
        genes.append(data.draw(st.sampled_from([*likely, len(edge.choices) // 2])))
    return np.array(genes, np.int8)


@settings(max_examples=60)
@given(data=st.data(), merge=st.sampled_from(["sum", "mean"]))
def test_moving_a_stem_identity_keeps_the_key(data, merge):
    """In a chain an identity may stand anywhere in its stage."""
    space = SearchSpace.profile("imagenet", branch_distances=(), merge=merge)
    genotype = random_mixture(space, data)
    moved = []
    for stage in range(5):
        inner = [e.index for e in edges_of(space) if space.nodes[e.target].stage == stage]
        free = [i for i in inner if edges_of(space)[i].stride == 1]
        genes = [int(genotype[i]) for i in free]
        blocks = [gene for gene in genes if gene != 9]
        rest = data.draw(st.permutations([0] * len(blocks) + [9] * (len(genes) - len(blocks))))
        left = iter(blocks)
        moved += [int(genotype[i]) for i in inner if i not in free]
        moved += [9 if gene == 9 else next(left) for gene in rest]
    keys = space.canonical([genotype, moved])
    assert keys[0] == keys[1]


@settings(max_examples=100)
@given(data=st.data())
def test_equal_keys_have_equal_costs_in_imagenet(data):
    genotype = random_mixture(IMAGENET, data)
    other = genotype.copy()
    gene = data.draw(st.integers(0, IMAGENET.num_genes - 1))
    other[gene] = data.draw(st.integers(0, len(edges_of(IMAGENET)[gene].choices) - 1))
    keys = IMAGENET.canonical([genotype, other])
    if keys[0] == keys[1]:
        assert len(set(IMAGENET.madds([genotype, other]).tolist())) == 1
        assert len(set(IMAGENET.params([genotype, other]).tolist())) == 1


def test_keys_do_not_depend_on_the_rows_beside():
    genotypes = MICRO.sample(50, p_drop=0.6, seed=0)
    keys = MICRO.canonical(genotypes)
    assert keys.shape == (50,)
    assert keys.dtype.kind == "U"
    assert (MICRO.canonical(genotypes[::-1])[::-1] == keys).all()
    assert len(set(keys.tolist())) == 50


def test_keys_never_move():
    space = SearchSpace.profile("nano")
    assert space.canonical(np.zeros((1, 12), np.int8))[0] == "f57c1d09aef0f1299b83b04ebced9d3a"


def test_shadow_keys_are_the_genotypes():
    space = tiny("one stage", merge="shadow")
    genotypes = every_genotype(space)
    assert len(set(space.canonical(genotypes).tolist())) == len(genotypes)


@pytest.mark.parametrize("merge", ["sum", "mean"])
def test_coefficients_beyond_64_bits_stay_exact(merge):
    space = SearchSpace.profile("nano", stages=(90,), widths=(2,), residual="all", merge=merge)
    assert coefficient_bound(space) > 2**64
    doubled = np.array([[len(edge.choices) - 1 for edge in edges_of(space)]] * 2)
    last = [edge.index for edge in edges_of(space) if edge.target == 89]
    doubled[:, last[0]] = 0
    doubled[1, last[2]] = 0
    keys = space.canonical(doubled)
    assert keys[0] != keys[1]


def relabel(graph, order):
    return SymbolGraph(graph.labels[order], graph.arcs[np.ix_(order, order)], graph.names)


def graph_of(arcs, labels=None):
    arcs = np.array(arcs, np.int64)
    labels = np.zeros(len(arcs), np.int64) if labels is None else np.array(labels, np.int64)
    return SymbolGraph(labels, arcs, b"")


@settings(max_examples=150)
@given(data=st.data(), size=st.integers(1, 5))
def test_certificates_are_equal_exactly_for_isomorphic_graphs(data, size):
    """Against every permutation of two small graphs that are often alike."""

    def draw():
        arcs = np.zeros((size, size), int)
        for row, column in itertools.combinations(range(size), 2):
            arcs[column, row] = data.draw(st.sampled_from([0, 0, 1, 2]))
        return graph_of(arcs, sorted(data.draw(st.integers(0, 1)) for _ in range(size)))

    first, second = draw(), draw()
    images = [relabel(second, list(order)) for order in itertools.permutations(range(size))]
    alike = any(
        (first.labels == image.labels).all() and (first.arcs == image.arcs).all()
        for image in images
    )
    assert (certificate(first) == certificate(second)) == alike
    assert len({certificate(image) for image in images}) == 1


def rings(*sizes):
    """Arcs of circles whose even symbols are read by both neighbours: one colour a parity."""
    arcs, start = np.zeros((sum(sizes), sum(sizes)), int), 0
    for size in sizes:
        for i in range(1, size, 2):
            arcs[start + i, [start + i - 1, start + (i + 1) % size]] = 1
        start += size
    return graph_of(arcs)


def test_graphs_that_refinement_cannot_tell_apart_are_told_apart():
    rng = np.random.default_rng(0)
    families = [rings(12), rings(6, 6), rings(4, 8), rings(4, 4, 4)]
    found = [
        {certificate(relabel(graph, rng.permutation(12))) for _ in range(20)} for graph in families
    ]
    assert [len(keys) for keys in found] == [1] * 4
    assert len(set().union(*found)) == 4


def test_many_mirrored_pairs_take_few_leaves():
    """Twenty pairs a -> b: without the automorphisms there were 20! orders to try."""
    arcs = np.zeros((40, 40), int)
    arcs[np.arange(20, 40), np.arange(20)] = 1
    order = np.random.default_rng(1).permutation(40)
    assert certificate(graph_of(arcs)) == certificate(relabel(graph_of(arcs), order))
