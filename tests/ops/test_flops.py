"""Counting multiply-adds: published numbers, layers by name, and a module left as it was."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from stnas.ops.flops import count_madds, madds_by_layer

HERE = Path(__file__).parent


def mobilenet_v2() -> nn.Module:
    spec = importlib.util.spec_from_file_location("mobilenet_v2", HERE / "mobilenet_v2.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    built: nn.Module = module.mobilenet_v2()
    return built


class Shared(nn.Module):
    """Uses one layer twice, a list that is never called, and a product of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.again = self.first
        self.parts = nn.ModuleList([nn.Sequential(nn.Linear(4, 5, bias=False), nn.ReLU())])
        self.weight = nn.Parameter(torch.ones(5, 7))

    def forward(self, x: Tensor) -> Tensor:
        return self.parts[0](self.again(self.first(x))) @ self.weight


def test_mobilenet_v2_has_the_published_multiply_adds():
    network = mobilenet_v2()
    assert sum(p.numel() for p in network.parameters()) == 3_504_872
    assert count_madds(network, (3, 224, 224)) == 300_774_272


def test_mobilenet_v2_equals_torchvision():
    torchvision = pytest.importorskip("torchvision")
    network = torchvision.models.mobilenet_v2(weights=None)
    assert count_madds(network, (3, 224, 224)) == count_madds(mobilenet_v2(), (3, 224, 224))


@pytest.mark.parametrize("size", [1, 7, 32, 33])
def test_count_is_half_of_the_counter_on_real_tensors(size):
    network = mobilenet_v2().eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, size, size))
    assert 2 * count_madds(network, (3, size, size)) == counter.get_total_flops()


def test_layers_are_named_and_add_up():
    layers = madds_by_layer(Shared(), (4,))
    assert layers == {"first": 32, "parts.0.0": 20, "": 35}
    assert count_madds(Shared(), (4,)) == 87


def test_nested_layers_are_counted_once():
    block = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), block)
    assert madds_by_layer(network, [3, 10, 11]) == {"0": 27 * 8 * 110, "2.3": 40}


def test_a_module_without_products_costs_nothing():
    assert count_madds(nn.ReLU(), ()) == 0
    assert madds_by_layer(nn.BatchNorm2d(3), (3, 4, 4)) == {}


def test_the_module_stays_as_it_was():
    network = mobilenet_v2().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    random = torch.get_rng_state()
    count_madds(network, (3, 32, 32))
    assert all(part.training for part in network.modules())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in network.modules())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(p.device.type == "cpu" and p.requires_grad for p in network.parameters())
    assert torch.equal(random, torch.get_rng_state())


@pytest.mark.parametrize("shape", [(4,), (3, 32), (5, 8, 8), (2, 3, 8, 8)], ids=str)
def test_a_shape_that_does_not_fit_is_refused(shape):
    with pytest.raises(ValueError, match="input_shape must suit Sequential, got"):
        count_madds(mobilenet_v2(), shape)


@pytest.mark.parametrize("size", [0, -3])
def test_an_empty_size_is_refused(size):
    with pytest.raises(ValueError, match=r"at least 1, got .*without the batch"):
        count_madds(nn.ReLU(), (3, size))


@pytest.mark.parametrize("size", [2.0, True, "3"])
def test_a_size_that_is_no_integer_is_refused(size):
    with pytest.raises(TypeError, match="input_shape must hold integers"):
        count_madds(nn.ReLU(), (size,))


def test_another_object_is_refused():
    with pytest.raises(TypeError, match=r"module must be an nn.Module"):
        count_madds(torch.relu, (3,))
