"""Architectures computed together come out as each alone, bit for bit."""

import weakref
from itertools import groupby

import numpy as np
import pytest
import torch

from stnas.learn.evaluation import evaluate, recalibrate_
from stnas.learn.scoring import Scorer, calibrated_trie
from stnas.space import SearchSpace
from stnas.supernet import SuperNet, Trie

OPTIONS = {"image_size": 12, "in_channels": 1, "num_classes": 4, "dropout": 0.2}
SPACES = {
    "sum": {},
    "mean": {"merge": "mean"},
    "shadow": {"merge": "shadow"},
    "residual_all": {"residual": "all", "activation": "hardswish"},
    "chain": {"branch_distances": ()},
    "distance_4": {"branch_distances": (2, 4), "activation": "silu"},
}


def make(affine=False, **changes):
    torch.manual_seed(0)
    supernet = SuperNet(SearchSpace.profile("nano", **OPTIONS, **changes), affine=affine)
    if affine:
        for name, parameter in supernet.named_parameters():
            if "norm" in name or "shadow" in name:
                torch.nn.init.normal_(parameter, 1.0, 0.5)
    return supernet


@pytest.fixture(params=SPACES, ids=str)
def supernet(request):
    return make(affine=request.param in ("shadow", "mean"), **SPACES[request.param])


@pytest.fixture
def plain():
    return make()


def relatives(space, count=12, seed=0):
    """Make architectures that share prefixes of every length, a duplicate among them, shuffled."""
    rng = np.random.default_rng(seed)
    first, *others = space.sample(count, p_drop=0.4, seed=seed)
    rows = [first, first]
    for other in others:
        point = rng.integers(space.num_genes)
        rows.append(np.concatenate((rows[rng.integers(len(rows))][:point], other[point:])))
    return np.stack(rows)[rng.permutation(len(rows))]


def batches(seed=1):
    """Make batches of several sizes, channels last as the loaders' are."""
    draw = torch.Generator().manual_seed(seed)
    images = [torch.randn(n, 1, 12, 12, generator=draw) for n in (6, 9, 2)]
    labels = [torch.randint(0, 4, (len(batch),), generator=draw) for batch in images]
    return list(zip(images, labels, strict=True))


def statistics(network):
    """List the running statistics of a network's BN layers by name."""
    return {
        name: (layer.running_mean, layer.running_var)
        for name, layer in network.named_modules()
        if isinstance(layer, torch.nn.BatchNorm2d)
    }


def test_scores_are_those_of_each_alone(supernet):
    data, images = batches(), [batch for batch, _ in batches(2)]
    genotypes = relatives(supernet.space)
    scores = Scorer([supernet], images, data)(genotypes)
    for genotype, score in zip(genotypes, scores, strict=True):
        network = supernet.extract(genotype)
        recalibrate_(network, images)
        assert score == evaluate(network, data)


@torch.no_grad()
def test_logits_and_statistics_are_those_of_each_alone(supernet):
    images = [batch for batch, _ in batches()]
    genotypes = relatives(supernet.space)
    trie = calibrated_trie(supernet, genotypes, images, tick=lambda: None)
    logits = dict(trie.logits(images[0]))
    for index, genotype in enumerate(genotypes):
        network = supernet.extract(genotype)
        recalibrate_(network, images)
        assert torch.equal(logits[trie.leaves[index]], network(images[0]))
        expected = list(statistics(network).values())
        modules = dict(network.named_modules())
        found = {value.name: value.norms for value in trie.path(index)}
        named = {n: list(statistics(modules[n]).values()) for n in found}
        assert sum(len(layers) for layers in named.values()) == len(expected)
        for name, norms in found.items():
            for norm, (mean, variance) in zip(norms, named[name], strict=True):
                assert torch.equal(norm.running_mean, mean), name
                assert torch.equal(norm.running_var, variance), name


def test_the_weights_and_their_gradients_are_left_alone(plain):
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    trie = calibrated_trie(plain, relatives(plain.space), [batches()[0][0]], tick=lambda: None)
    assert all(not logits.requires_grad for _, logits in trie.logits(batches()[0][0]))
    assert all(torch.equal(value, before[name]) for name, value in plain.state_dict().items())


def test_a_score_does_not_depend_on_the_others(plain):
    score = Scorer([plain], [batch for batch, _ in batches()], batches(3))
    genotypes = relatives(plain.space)
    together = score(genotypes)
    assert score(genotypes[::-1]) == together[::-1]
    assert [score(genotype[None])[0] for genotype in genotypes] == together


def distinct_blocks(space, genotypes):
    """Collect the blocks of architectures, each with all that its input is made of."""
    found = set()
    for genotype in genotypes:
        nodes = {0: "images"}
        for target, arcs in groupby(space.arcs_of(genotype), key=lambda arc: arc.target):
            entering = []
            for arc in arcs:
                value = nodes[arc.source]
                if arc.part is not None:
                    value = (arc.part, value)
                    found.add(value)
                entering.append(value)
            nodes[target] = entering[0] if len(entering) == 1 else (target, *entering)
    return found


def test_every_block_is_computed_once(plain):
    genotypes = relatives(plain.space)
    trie = Trie(plain, genotypes)
    blocks = [value for value in trie.values if value.name.startswith("edges.")]
    assert len(blocks) == len(distinct_blocks(plain.space, genotypes))
    assert len(set(trie.leaves)) == len(np.unique(genotypes, axis=0)) < len(genotypes)


def most_held(trie, images):
    """Observe images; return how many values were there at once, and check that none is left."""
    made, most = [], []

    def watched(value):
        def compute(*inputs, **state):
            out = value.compute(*inputs, **state)
            made.append(weakref.ref(out))
            most.append(sum(ref() is not None for ref in made))
            return out

        return value._replace(compute=compute)

    trie.values = [watched(value) for value in trie.values]
    trie.observe_(images, momentum=1.0)
    assert all(ref() is None for ref in made)
    return max(most)


def test_memory_stays_at_one_path(plain):
    """A path holds each of its nodes, and of each of its genes a value a choice at the most.

    The value that the loop held last lives on until the next one takes its name.
    """
    space = plain.space
    genotypes = space.sample(120, p_drop=0.2, seed=0)
    trie, images = Trie(plain, genotypes), batches()[0][0]
    path = len(space.nodes) + 1
    assert most_held(Trie(plain, genotypes[:1]), images) <= path
    assert most_held(trie, images) <= path + int(space.choice_counts.sum()) < len(trie.values) / 5


def test_no_network_is_cut_out_to_be_scored(plain, monkeypatch):
    monkeypatch.delattr(SuperNet, "extract")
    assert len(Scorer([plain], [], batches())(relatives(plain.space))) == 13


def test_images_without_a_batch_leave_the_statistics_reset(plain):
    trie = calibrated_trie(plain, relatives(plain.space)[:1], [], tick=lambda: None)
    for value in trie.path(0):
        assert all(float(norm.running_mean.abs().sum()) == 0 for norm in value.norms)
        assert all(float((norm.running_var - 1).abs().sum()) == 0 for norm in value.norms)


def test_no_architecture_has_no_score(plain):
    score = Scorer([plain], [batches()[0][0]], batches())
    assert score(np.empty((0, plain.space.num_genes), np.int8)) == []


def test_progress_rises_to_one(plain):
    shares = []
    score = Scorer([plain, plain], [batch for batch, _ in batches()], batches())
    score(relatives(plain.space)[:2], progress=shares.append)
    assert shares == pytest.approx([n / 12 for n in range(1, 13)])


def test_wrong_input_is_refused(plain):
    genotypes = plain.space.sample(2, p_drop=0.5, seed=2)
    with pytest.raises(ValueError, match=r"shape \[n,"):
        Trie(plain, genotypes[0])
    with pytest.raises(ValueError, match="must lie in"):
        Trie(plain, np.full_like(genotypes, 99))
    with pytest.raises(ValueError, match="one image or more"):
        Trie(plain, genotypes).observe_(torch.zeros(0, 1, 12, 12), momentum=1.0)
    with pytest.raises(TypeError, match=r"floating-point.*uint8"):
        list(Trie(plain, genotypes).logits(torch.zeros(2, 1, 12, 12, dtype=torch.uint8)))
