"""The hyper-network computes one path, and a network cut out of it computes the same."""

import copy

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from stnas.learn.evaluation import recalibrate_
from stnas.ops.flops import count_madds
from stnas.space import SearchSpace
from stnas.supernet import Network, SuperNet

OPTIONS = {"image_size": 12, "in_channels": 1, "num_classes": 4, "dropout": 0.0}
SPACES = {
    "sum": {},
    "mean": {"merge": "mean"},
    "shadow": {"merge": "shadow"},
    "residual_all": {"residual": "all", "activation": "hardswish"},
    "residual_none": {"residual": "none", "activation": "silu"},
    "chain": {"branch_distances": ()},
    "distance_4": {"branch_distances": (2, 4), "activation": "relu"},
}


@pytest.fixture(params=SPACES, ids=str)
def supernet(request):
    torch.manual_seed(0)
    space = SearchSpace.profile("nano", **OPTIONS, **SPACES[request.param])
    return SuperNet(space, affine=True)


@pytest.fixture
def plain():
    torch.manual_seed(0)
    return SuperNet(SearchSpace.profile("nano", **OPTIONS))


def images(count=6):
    return torch.randn(count, 1, 12, 12, generator=torch.Generator().manual_seed(1))


def test_cut_out_networks_equal_the_hypernetwork_bit_for_bit(supernet):
    for genotype in supernet.space.sample(8, p_drop=0.5, seed=2):
        network = supernet.extract(genotype)
        assert torch.equal(network(images()), supernet(images(), genotype))


def test_gradients_of_a_cut_out_network_are_the_hypernetworks(plain):
    genotype = plain.space.sample(1, p_drop=0.5, seed=2)[0]
    plain(images(), genotype).square().sum().backward()
    expected = {id(p): p.grad.clone() for p in plain.parameters() if p.grad is not None}
    plain.zero_grad()
    network = plain.extract(genotype)
    network(images()).square().sum().backward()
    parameters = list(network.parameters())
    assert {id(p) for p in parameters} == set(expected)
    assert all(torch.equal(p.grad, expected[id(p)]) for p in parameters)


def test_only_the_sampled_path_is_computed_and_gets_gradients(plain):
    genotype = plain.space.sample(1, p_drop=0.5, seed=3)[0]
    with FlopCounterMode(display=False) as counter:
        logits = plain(images(), genotype)
    madds = int(plain.space.madds(genotype[None])[0])
    assert counter.get_total_flops() == 2 * len(images()) * madds
    logits.sum().backward()
    active = [
        plain.block(arc.part) for arc in plain.space.arcs_of(genotype) if arc.part is not None
    ]
    inside = {id(p) for block in active for p in block.parameters()}
    for name, parameter in plain.named_parameters():
        shared = name.startswith(("stem.", "tail."))
        assert (parameter.grad is not None) == (shared or id(parameter) in inside), name


def test_forward_leaves_no_state_behind(supernet):
    before = copy.deepcopy(supernet.state_dict())
    genotypes = supernet.space.sample(2, p_drop=0.4, seed=0)
    first = supernet(images(), genotypes[0])
    supernet(images(), genotypes[1])
    assert torch.equal(first, supernet(images(), genotypes[0]))
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())


def test_a_cut_out_network_has_statistics_of_its_own(supernet):
    genotype = supernet.space.sample(1, p_drop=0.5, seed=2)[0]
    first, second = supernet.extract(genotype), supernet.extract(genotype)
    recalibrate_(first, [images(), images()])
    norms = [m for m in second.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(int(norm.num_batches_tracked) == 0 for norm in norms)
    assert all(float(norm.running_mean.abs().max()) == 0 for norm in norms)


def test_a_deep_copy_of_a_cut_out_network_is_independent(plain):
    genotype = plain.space.sample(1, p_drop=0.5, seed=2)[0]
    twin = copy.deepcopy(plain.extract(genotype))
    assert not {id(p) for p in twin.parameters()} & {id(p) for p in plain.parameters()}
    network = plain.extract(genotype)
    assert torch.equal(twin(images()), network(images()))


def test_a_fresh_network_has_the_counted_costs(supernet):
    space = supernet.space
    for genotype in space.sample(4, p_drop=0.5, seed=4):
        network = Network.build(space, genotype)
        assert count_madds(network, (1, 12, 12)) == int(space.madds(genotype[None])[0])
        held = sum(p.numel() for p in network.parameters())
        assert held == int(space.params(genotype[None])[0])


def test_state_of_a_network_is_that_of_a_fresh_one_of_its_genotype(supernet):
    genotype = supernet.space.sample(1, p_drop=0.5, seed=2)[0]
    cut, fresh = supernet.extract(genotype), Network.build(supernet.space, genotype)
    fresh.load_state_dict(cut.state_dict())
    assert torch.equal(fresh.eval()(images()), cut.eval()(images()))


def test_a_network_with_fixed_statistics_has_gradients(plain):
    genotype = plain.space.sample(1, p_drop=0.5, seed=2)[0]
    network = plain.extract(genotype)
    recalibrate_(network, [images()])
    with torch.no_grad():
        expected = network(images())
    out = network(images())
    torch.testing.assert_close(out.detach(), expected, rtol=1e-4, atol=1e-5)
    out.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_recalibration_is_the_cumulative_average(plain):
    genotype = plain.space.sample(1, p_drop=0.5, seed=2)[0]
    network = plain.extract(genotype)
    batches = [images(4), images(6) * 2 + 1, images(5) - 3]
    recalibrate_(network, batches)
    values = [plain.stem.convolution(batch) for batch in batches]
    mean = torch.stack([value.mean((0, 2, 3)) for value in values]).mean(0)
    variance = torch.stack([value.transpose(0, 1).flatten(1).var(1) for value in values]).mean(0)
    torch.testing.assert_close(network.stem.norm.running_mean, mean)
    torch.testing.assert_close(network.stem.norm.running_var, variance)
    assert network.stem.norm.momentum == 0.1
    assert not network.training


def test_one_image_and_odd_sizes_are_computed(plain):
    genotype = plain.space.sample(1, p_drop=0.5, seed=2)[0]
    for size in (9, 12, 17):
        assert plain(torch.randn(2, 1, size, size), genotype).shape == (2, 4)
    network = plain.extract(genotype).eval()
    assert network(torch.randn(1, 1, 12, 12)).shape == (1, 4)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.zeros(2, 3, 12, 12), ValueError, r"\[N, 1, H, W\].*got \[2, 3, 12, 12\]"),
        (torch.zeros(0, 1, 12, 12), ValueError, "one image or more"),
        (torch.zeros(1, 12, 12), ValueError, r"got \[1, 12, 12\]"),
        (torch.zeros(2, 1, 12, 12, dtype=torch.uint8), TypeError, "floating-point.*uint8"),
        (np.zeros((2, 1, 12, 12)), TypeError, "ndarray"),
    ],
)
def test_wrong_images_are_refused(plain, x, error, message):
    genotype = plain.space.sample(1, p_drop=0.5, seed=2)[0]
    with pytest.raises(error, match=message):
        plain(x, genotype)
    with pytest.raises(error, match=message):
        plain.extract(genotype)(x)


def test_wrong_genotypes_are_refused(plain):
    genotypes = plain.space.sample(2, p_drop=0.5, seed=2)
    with pytest.raises(ValueError, match=r"one row"):
        plain(images(), genotypes)
    with pytest.raises(ValueError, match=r"shape \[n,"):
        plain.extract(genotypes[0][:-1])
    with pytest.raises(ValueError, match="must lie in"):
        plain(images(), np.full_like(genotypes[0], 99))
    with pytest.raises(TypeError, match="integers"):
        Network.build(plain.space, genotypes[0].astype(float))
