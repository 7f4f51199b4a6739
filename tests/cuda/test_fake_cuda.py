"""Forward passes on fake CUDA tensors, which need no GPU: a tensor that was left behind is noticed.

Their values are not computed, only sizes and devices. Autograd has no such device.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from stnas.learn.evaluation import Tally
from stnas.space import SearchSpace
from stnas.supernet import Network, SuperNet, Trie

ATEN = torch.ops.aten
SIZES: dict[str, dict[str, Any]] = {
    "topology": {"name": "nano", "stages": (2, 2), "widths": (4, 8), "stem_stride": 1},
    "nas_bench_macro": {"name": "nas_bench_macro_half", "stages": (1, 1, 1)},
    "spos": {"name": "nano", "stages": (1, 1), "widths": (16, 24), "scales": (6, 10)},
    "quant": {"name": "resnet14", "stages": (1, 1), "widths": (4, 8)},
    "nb201": {"name": "micro", "channels": 2},
    "darts": {"name": "micro", "channels": 2, "cells": 3},
}


def item(x: Tensor, places: Any) -> Tensor:
    """Index a tensor by operators: Python's own methods ask this torch for a guard of the GPU."""
    keys, dim = places if isinstance(places, tuple) else (places,), 0
    for key in keys:
        if key is None:
            x, dim = ATEN.unsqueeze(x, dim), dim + 1
        elif isinstance(key, slice):
            x, dim = ATEN.slice(x, dim, key.start, key.stop, key.step or 1), dim + 1
        elif isinstance(key, int):
            x = ATEN.select(x, dim, key)
        else:
            x, dim = ATEN.index(x, [None] * dim + [key]), dim + key.dim()
    return x


def dense(x: Tensor, *, memory_format: torch.memory_format = torch.contiguous_format) -> Tensor:
    """Lay a tensor out, by the operator."""
    laid: Tensor = ATEN.contiguous(x, memory_format=memory_format)
    return laid


@pytest.fixture
def fake(monkeypatch):
    """Let tensors be fake inside, on whatever device they are made."""
    monkeypatch.setattr(FakeTensor, "__getitem__", item)
    monkeypatch.setattr(FakeTensor, "copy_", lambda x, y, *_: ATEN.copy_(x, y))
    monkeypatch.setattr(FakeTensor, "contiguous", dense)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        yield


def sent_(module: nn.Module) -> nn.Module:
    """Put fake CUDA tensors in the place of a module's."""
    for layer in module.modules():
        for tensors in (layer._parameters, layer._buffers):
            for name, own in tensors.items():
                if own is not None:
                    there = torch.empty_strided(
                        own.shape, own.stride(), dtype=own.dtype, device="cuda"
                    )
                    kept = isinstance(own, nn.Parameter)
                    tensors[name] = nn.Parameter(there, requires_grad=False) if kept else there
    return module


def made(family):
    space = SearchSpace.profile(family=family, image_size=16, **SIZES[family])
    genotypes = space.sample(2, p_drop=0.3, seed=0)
    shape = (4, space.head.in_channels, 16, 16)
    return space, genotypes, lambda device: torch.empty(shape, device=device)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("family", SIZES)
def test_networks_compute_where_their_images_are(family, training, request):
    space, genotypes, images = made(family)
    kernels = "reference" if family == "quant" else "fused"
    supernet, network = SuperNet(space, kernels=kernels), Network.build(space, genotypes[0])
    request.getfixturevalue("fake")
    sent_(network).train(training)
    assert network(images("cuda")).device == torch.device("cuda", 0)
    if training:  # the hyper-network has no statistics to evaluate with
        sent_(supernet).train()
        assert supernet(images("cuda"), genotypes[1]).device == torch.device("cuda", 0)
    with pytest.raises(RuntimeError, match="same device"):
        network(images("cpu"))


@pytest.mark.parametrize("family", ["topology", "spos", "nb201"])
def test_architectures_are_scored_where_their_images_are(family, request):
    space, genotypes, images = made(family)
    supernet = SuperNet(space)
    request.getfixturevalue("fake")
    sent_(supernet).eval()
    trie, labels = Trie(supernet, genotypes), torch.empty(4, dtype=torch.long, device="cuda")
    trie.observe_(images("cuda"), momentum=1.0)
    for _, logits in trie.logits(images("cuda")):
        assert logits.device == torch.device("cuda", 0)
        Tally().add_(logits, labels)
        with pytest.raises(RuntimeError, match="same device"):
            Tally().add_(logits, labels.cpu())


@pytest.mark.parametrize("name", ["tail.classifier.weight", "stem.norm.running_mean"])
def test_a_weight_that_was_left_behind_is_noticed(name, request):
    space, genotypes, images = made("topology")
    network = Network.build(space, genotypes[0])
    request.getfixturevalue("fake")
    sent_(network).eval()
    layer, _, own = name.rpartition(".")
    owner = network.get_submodule(layer)
    tensors = owner._parameters if own in owner._parameters else owner._buffers
    left = torch.empty(tensors[own].shape)
    tensors[own] = nn.Parameter(left, requires_grad=False) if own in owner._parameters else left
    with pytest.raises(RuntimeError, match="same device"):
        network(images("cuda"))
