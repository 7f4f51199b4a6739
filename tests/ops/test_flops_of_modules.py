"""Counting modules that people change, wrap, script or write by hand: the plain layer's number."""

import copy
import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm
from torch.utils.flop_counter import FlopCounterMode

from stnas.ops.flops import count_madds, madds_by_layer

pytestmark = pytest.mark.filterwarnings(
    "ignore::torch.jit.TracerWarning",
    "ignore::DeprecationWarning:torch.*",
    "ignore:torch.ao:DeprecationWarning",
    "ignore:torch.quantize_per_tensor",
)

SHAPE = (3, 8, 8)
MADDS = 27 * 8 * 36


def convolution() -> nn.Conv2d:
    return nn.Conv2d(3, 8, 3)


def small() -> nn.Sequential:
    return nn.Sequential(convolution(), nn.BatchNorm2d(8), nn.ReLU())


def twice_pruned(layer: nn.Module) -> nn.Module:
    prune.l1_unstructured(layer, "weight", 0.3)
    prune.random_unstructured(layer, "weight", 0.3)
    return prune.l1_unstructured(layer, "bias", 0.5)


class Halved(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight @ torch.eye(3) / 2


def halved(layer: nn.Module) -> nn.Module:
    return parametrize.register_parametrization(layer, "weight", Halved())


CHANGES = {
    "weight_norm": weight_norm,
    "spectral_norm": spectral_norm,
    "parametrized weight_norm": parametrizations.weight_norm,
    "parametrized spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "own parametrization": halved,
    "pruned": twice_pruned,
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_weight_that_is_computed_costs_what_a_plain_one_does(change):
    layer = change(convolution())
    names = [name for name, _ in layer.named_parameters()]
    expected = layer.eval()(torch.ones(1, *SHAPE))
    assert count_madds(layer, SHAPE) == MADDS
    assert [name for name, _ in layer.named_parameters()] == names
    assert torch.equal(layer(torch.ones(1, *SHAPE)), expected)
    layer.train()(torch.ones(1, *SHAPE)).sum().backward()


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.float64, torch.float8_e4m3fn], ids=str
)
def test_weights_of_other_dtypes_take_inputs_of_theirs(dtype):
    if dtype.itemsize > 1:
        assert count_madds(small().to(dtype), SHAPE) == MADDS
    assert count_madds(nn.Identity(), (3,), dtype=dtype) == 0


@pytest.mark.parametrize(
    "shape",
    [
        (np.int64(3), np.int32(8), torch.tensor(8)),
        np.array(SHAPE),
        torch.Size(SHAPE),
        list(SHAPE),
        [SHAPE],
    ],
    ids=["numpy integers", "array", "size", "list", "list of one shape"],
)
def test_sizes_may_be_any_integers(shape):
    assert count_madds(convolution(), shape) == MADDS


SCRIPTED = {
    "script": lambda: torch.jit.script(small()),
    "script in evaluation mode": lambda: torch.jit.script(small().eval()),
    "frozen": lambda: torch.jit.freeze(torch.jit.script(small().eval())),
    "trace": lambda: torch.jit.trace(small().eval(), torch.zeros(1, *SHAPE)),
    "trace of training": lambda: torch.jit.trace(small(), torch.zeros(2, *SHAPE)),
    "part": lambda: nn.Sequential(nn.Identity(), torch.jit.script(small())),
}


@pytest.mark.parametrize("make", SCRIPTED.values(), ids=SCRIPTED)
def test_script_modules_are_counted(make):
    module = make()
    before = str(module.graph) if isinstance(module, torch.jit.ScriptModule) else ""
    assert count_madds(module, SHAPE) == MADDS == count_madds(module, SHAPE)
    assert before == (str(module.graph) if before else "")


def test_wrapped_modules_are_counted():
    in_place = small()
    in_place.compile()
    wrapped = (torch.compile(small()), in_place, nn.DataParallel(small()), small().share_memory())
    assert [count_madds(module, SHAPE) for module in wrapped] == [MADDS] * len(wrapped)


def test_modules_without_data_are_counted():
    with torch.device("meta"):
        hollow = small()
        assert count_madds(hollow, SHAPE) == MADDS == count_madds(small(), SHAPE)
    assert count_madds(hollow, SHAPE) == MADDS
    with FakeTensorMode():
        fake = small()
        assert count_madds(fake, SHAPE) == MADDS
    assert count_madds(fake, SHAPE) == MADDS


def test_modes_of_the_caller_do_not_matter():
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        assert count_madds(small(), SHAPE) == MADDS
    assert counter.get_total_flops() == 0
    with torch.autocast("cpu"), torch.enable_grad():
        assert count_madds(small(), SHAPE) == MADDS


class Held(nn.Module):
    """Holds tensors in many places, makes others, decides by integers, keeps what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = torch.randn(4, 5)
        self.made = torch.randn(5, 6, requires_grad=True) * 2
        self.listed = [torch.randn(6, 7), {"deep": nn.Parameter(torch.randn(7, 2))}]
        self.sizes = torch.tensor([2, 1])
        self.register_buffer("steps", torch.tensor(3))
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        x = x @ self.plain @ self.made @ self.listed[0] @ self.listed[1]["deep"]
        filled = torch.zeros(1, 2, device=x.device)
        filled[:, 0] = x[:, 1]
        for _ in range(int(self.steps)):
            filled = filled @ torch.ones(2, 2)
        self.steps.add_(1)
        return filled.view(self.sizes.tolist())


def test_tensors_may_be_held_or_made_anywhere():
    module = Held()
    kept = copy.copy(module.__dict__)
    expected = 4 * 5 + 5 * 6 + 6 * 7 + 7 * 2 + 3 * 4
    assert count_madds(module, (4,)) == expected == count_madds(module, (4,))
    assert module.seen == []
    assert int(module.steps) == 3
    assert module.__dict__ == kept
    assert module.made.grad_fn is not None


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        return x @ weight

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return grad, None


class Calls(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function, self.layer = function, nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Any:
        return self.function(self.layer, x)


def under_autocast(layer: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, torch.bfloat16):
        return layer(x)


def by_its_gradient(layer: nn.Module, x: Tensor) -> Tensor:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return torch.autograd.grad(layer(x).sum(), x)[0]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda layer, x: Product.apply(x, layer.weight.mT), 20),
        (lambda layer, x: torch.inference_mode()(lambda: layer(x))(), 20),
        (lambda layer, x: torch.utils.checkpoint.checkpoint(layer, x, use_reentrant=False), 20),
        (lambda layer, x: torch.func.vmap(layer)(x), 20),
        (lambda layer, x: functional.linear(x, torch.ones(3, 4, dtype=x.dtype)), 12),
        (under_autocast, 20),
        (by_its_gradient, 40),
    ],
)
def test_ways_to_call_a_layer(function, expected):
    assert count_madds(Calls(function), (4,)) == expected


@pytest.mark.parametrize(
    "function",
    [
        lambda layer, x: layer(x) if x.sum() > 0 else x,
        lambda layer, x: layer(x) if torch.rand(()) > 0.5 else x,
        lambda layer, x: x[x > 0],
        lambda layer, x: layer(x) if torch.zeros(4).copy_(x[0]).sum().item() > 0 else x,
    ],
)
def test_a_module_that_decides_by_values_is_refused(function):
    with pytest.raises(ValueError, match=r"the same whatever the values.*FlopCounterMode"):
        count_madds(Calls(function), (4,))


def test_one_module_in_training_mode_with_one_value_a_channel():
    module = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).train()
    assert count_madds(module, (4,)) == 12
    assert module.training
    assert int(module[1].num_batches_tracked) == 0


def test_hooks_stay_and_see_the_copy():
    module, seen = small(), []
    module[0].register_forward_hook(lambda own, _inputs, out: seen.append((own, out.shape)))
    module.register_forward_pre_hook(lambda _own, inputs: (inputs[0][:, :3],))
    assert count_madds(module, (4, 8, 8)) == MADDS
    ((own, size),) = seen
    assert own is not module[0]
    assert size == (1, 8, 6, 6)
    assert [len(part._forward_hooks) for part in module.modules()] == [0, 1, 0, 0]


def test_the_random_state_stays():
    module = Calls(lambda layer, x: layer(functional.dropout(x) + torch.randn(4)))
    state = torch.get_rng_state()
    assert count_madds(module, (4,)) == 20
    assert torch.equal(torch.get_rng_state(), state)


def test_a_failure_inside_does_not_shift_the_names():
    class Tries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bad, self.good = nn.Linear(9, 2), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.bad(x)
            except RuntimeError:
                return self.good(x)

    assert madds_by_layer(Tries(), (4,)) == {"good": 8}


def test_what_cannot_be_copied_or_has_no_shapes_is_refused():
    module = small()
    module.lock = threading.Lock()
    with pytest.raises(ValueError, match=r"one that copy.deepcopy takes.*lock"):
        count_madds(module, SHAPE)
    with pytest.raises(ValueError, match=r"a lazy weight: call the module once"):
        count_madds(nn.LazyLinear(2), (4,))


def test_a_wrong_dtype_is_named():
    with pytest.raises(ValueError, match=r"dtype=torch.int64 for indices.*scalar types: Long"):
        count_madds(nn.Embedding(4, 3), (2,))


def test_a_quantised_module_is_refused_with_the_way_out():
    module = nn.Sequential(nn.Linear(4, 5))
    quantised = torch.ao.quantization.quantize_dynamic(copy.deepcopy(module), {nn.Linear})
    with pytest.raises(ValueError, match=r"layer '0'.*that this one was .* quantised from"):
        count_madds(quantised, (4,))
    assert count_madds(module, (4,)) == 20
