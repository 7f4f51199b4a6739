"""A network through what people do to modules: the numbers of its layers, or a refusal by name."""

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.ao.quantization import quantize_dynamic
from torch.nn.utils import (
    fusion,
    parameters_to_vector,
    parametrizations,
    parametrize,
    prune,
    spectral_norm,
    vector_to_parameters,
    weight_norm,
)
from torch.testing import assert_close

from stnas.space import SearchSpace
from stnas.supernet import Network, SuperNet, synchronise_
from stnas.supernet.blocks import LinearBottleneck

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

OPTIONS = {"image_size": 12, "num_classes": 4, "dropout": 0.0}
SPACES = {
    "grey": {"in_channels": 1},
    "colour": {"in_channels": 3},
    "mean": {"in_channels": 1, "merge": "mean", "residual": "all", "activation": "hardswish"},
    "shadow": {"in_channels": 1, "merge": "shadow", "activation": "silu"},
}


def built(kind: str = "grey", *, kernels: Any = "fused") -> Network:
    """Make a network whose statistics and affine parameters are not those of a fresh one."""
    space = SearchSpace.profile("nano", **OPTIONS, **SPACES[kind])
    torch.manual_seed(0)
    network = Network.build(space, space.sample(1, p_drop=0.3, seed=1)[0], kernels=kernels)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.weight.data, layer.running_var):
                tensor.uniform_(0.5, 1.5)
            for tensor in (layer.bias.data, layer.running_mean):
                tensor.normal_(std=0.1)
    return network.eval()


def images(network: Network, count: int = 3, *, size: int = 12) -> Tensor:
    channels = network.space.head.in_channels
    return torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(1))


def twin(network: Network) -> Network:
    """Make the same network of plain layers."""
    plain = Network.build(network.space, network.genotype, kernels="reference")
    plain.load_state_dict(network.state_dict())
    return plain.train(network.training)


def first_block(network: nn.Module) -> LinearBottleneck:
    return next(m for m in network.modules() if isinstance(m, LinearBottleneck))


def logits(network: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return network(x)


@pytest.fixture(params=SPACES, ids=str)
def network(request: pytest.FixtureRequest) -> Network:
    return built(request.param)


@pytest.fixture
def grey() -> Network:
    return built()


CLOSE = {"rtol": 1e-3, "atol": 1e-4}


def same(network: nn.Module, other: Callable[[Tensor], Tensor], x: Tensor) -> None:
    with torch.no_grad():
        assert_close(network(x), other(x), **CLOSE)


def used(graph: str) -> bool:
    """Tell whether a graph has operators of ours."""
    return any(word in graph for word in ("stnas::", "ops.stnas.", "_C.stnas"))


# Traced, compiled, exported


@pytest.mark.parametrize("training", [False, True])
def test_a_trace_needs_no_operators_of_ours(network, training):
    x = images(network)
    network.train(training)
    reference = twin(network)
    with warnings.catch_warnings():
        # PyTorch's own BN warns where it counts the values of a batch.
        warnings.simplefilter("ignore" if training else "error", torch.jit.TracerWarning)
        traced = torch.jit.trace(network, x, check_trace=False)
    assert not used(str(traced.inlined_graph))
    same(traced, reference, images(network, 5, size=16))


@pytest.mark.parametrize("strict", [False, True])
def test_an_export_takes_any_number_of_images(network, strict):
    batch = {0: torch.export.Dim("batch")}
    program = torch.export.export(
        network, (images(network),), dynamic_shapes=(batch,), strict=strict
    )
    assert not used(str(program.graph))
    same(network, program.module(), images(network, 7))
    same(network, program.run_decompositions().module(), images(network, 7))


@pytest.mark.parametrize("training", [False, True])
def test_dynamo_sees_one_graph_of_plain_operators(network, training):
    network.train(training)
    reference, graphs = twin(network), []

    def backend(graph: torch.fx.GraphModule, _example: Any) -> Any:
        graphs.append(graph.print_readable(print_output=False))
        return graph

    compiled = torch.compile(network, backend=backend, fullgraph=True)
    same(compiled, reference, images(network))
    assert len(graphs) == 1
    assert not used(graphs[0])


def test_a_compiled_network_trains(grey):
    grey.train()
    compiled, reference = torch.compile(grey, backend="aot_eager"), twin(grey)
    for module in (compiled, reference):
        module(images(grey)).square().sum().backward()
    for mine, other in zip(grey.parameters(), reference.parameters(), strict=True):
        assert_close(mine.grad, other.grad, **CLOSE)


def test_fx_traces_to_the_layers(network):
    graph = torch.fx.symbolic_trace(network)
    called = {node.target for node in graph.graph.nodes if node.op == "call_module"}
    layers = {
        name
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.BatchNorm2d | nn.Linear)
    }
    assert called >= layers
    same(network, graph, images(network))
    same(network, pickle.loads(pickle.dumps(graph)), images(network))


ONNX = {"dynamo": True, "torchscript": False}


@pytest.mark.parametrize("dynamo", ONNX.values(), ids=ONNX)
@pytest.mark.parametrize("kind", SPACES)
def test_onnx_computes_the_same(kind, dynamo, tmp_path):
    for module in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(module, reason="pip install 'stnas[export]'")
    import onnxruntime

    network, path = built(kind), str(tmp_path / "network.onnx")
    options: dict[str, Any] = {"dynamo": dynamo, "input_names": ["x"], "verbose": False}
    if dynamo:
        options["dynamic_shapes"] = ({0: torch.export.Dim("batch")},)
    else:
        options["dynamic_axes"] = {"x": {0: "batch"}}
    torch.onnx.export(network, (images(network),), path, **options)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = images(network, 5)
    (found,) = session.run(None, {"x": x.numpy()})
    assert_close(torch.from_numpy(found), logits(network, x), **CLOSE)


# Weights changed, layers replaced


def pruned(layer: nn.Module) -> None:
    prune.l1_unstructured(layer, "weight", 0.4)


def masked_at_random(layer: nn.Module) -> None:
    prune.random_structured(layer, "weight", 0.5, dim=0)


class Symmetric(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return (weight + weight.flip(0)) / 2


def parametrized(layer: nn.Module) -> None:
    parametrize.register_parametrization(layer, "weight", Symmetric())


CHANGES = {
    "pruned": pruned,
    "structured": masked_at_random,
    "parametrized": parametrized,
    "spectral_norm": parametrizations.spectral_norm,
    "weight_norm": parametrizations.weight_norm,
    "old spectral_norm": spectral_norm,
    "old weight_norm": weight_norm,
}
LAYERS = ("expand", "depthwise", "squeeze", "excite", "project")


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("training", [False, True])
def test_a_layer_whose_weight_is_computed(grey, change, training):
    reference = twin(grey)
    for module in (grey, reference):
        torch.manual_seed(3)
        for part in [first_block(module).get_submodule(name) for name in LAYERS]:
            change(part)
        for part in (module.stem.convolution, module.tail.classifier):
            change(part)
        module.train(training)
    x = images(grey)
    outs = [module(x) for module in (grey, reference)]
    assert_close(*outs, **CLOSE)
    for out in outs:
        out.square().sum().backward()
    for mine, other in zip(grey.parameters(), reference.parameters(), strict=True):
        assert_close(mine.grad, other.grad, **CLOSE)


def test_pruning_made_permanent_is_plain_again(grey):
    for layer in grey.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            pruned(layer)
    expected = logits(grey, images(grey))
    for layer in grey.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            prune.remove(layer, "weight")
    same(grey, lambda _: expected, images(grey))
    built().load_state_dict(grey.state_dict())


class Doubled(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return 2 * self.layer(x)


def places(network: Network) -> list[str]:
    """Name every module that a network calls."""
    lists = ("edges", "merges")
    return [name for name, m in network.named_modules() if name and name not in lists]


def test_whatever_is_wrapped_is_called(network):
    for training in (False, True):
        for name in places(network.train(training)):
            if "shadow" in name.split("."):
                continue
            changed, reference = copy.deepcopy(network), twin(network)
            for module in (changed, reference):
                module.set_submodule(name, Doubled(module.get_submodule(name)))
            same(changed, reference, images(network))


def test_whatever_is_watched_is_seen(network):
    for training in (False, True):
        for name in places(network.train(training)):
            if name.endswith("shadow"):
                continue
            seen = []
            part = network.get_submodule(name)
            with part.register_forward_hook(lambda *_, name=name, seen=seen: seen.append(name)):
                network(images(network))
            assert seen == [name]


def test_all_hooks_at_once_and_none_after(network):
    reference = twin(network)
    for hook in ("register_forward_pre_hook", "register_forward_hook"):
        fired: set[str] = set()
        names = [name for name in places(network) if not name.endswith("shadow")]
        handles = [
            getattr(network.get_submodule(name), hook)(
                lambda *_, name=name, fired=fired: fired.add(name)
            )
            for name in names
        ]
        same(network, reference, images(network))
        assert fired == set(names)
        fired.clear()
        for handle in handles:
            handle.remove()
        same(network, reference, images(network))
        assert not fired


def test_a_hook_may_change_a_value(grey):
    reference = twin(grey)
    for module in (grey, reference):
        first_block(module).squeeze.register_forward_hook(lambda _own, _in, out: 3 * out)
    same(grey, reference, images(grey))


@pytest.mark.parametrize("training", [False, True])
def test_backward_hooks_see_the_gradients(grey, training):
    reference, seen = twin(grey.train(training)).train(training), []
    for module in (grey, reference):
        for name in LAYERS:
            layer = first_block(module).get_submodule(name)
            layer.register_full_backward_hook(lambda _own, _in, out: seen.append(out[0].clone()))
        module(images(grey)).square().sum().backward()
    assert len(seen) == 2 * len(LAYERS)
    for mine, other in zip(seen[: len(LAYERS)], seen[len(LAYERS) :], strict=True):
        assert_close(mine, other, **CLOSE)


def test_hooks_for_all_modules_see_the_layers(grey):
    seen = []
    with nn.modules.module.register_module_forward_hook(lambda own, *_: seen.append(own)):
        grey(images(grey))
    layers = {m for m in grey.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.BatchNorm2d)}
    assert layers <= set(seen)


def test_a_layer_with_a_forward_of_its_own(grey):
    reference = twin(grey)
    for module in (grey, reference):
        layer = first_block(module).project
        layer.forward = lambda x, layer=layer: -nn.Conv2d.forward(layer, x)
    same(grey, reference, images(grey))


def dilated(block: LinearBottleneck) -> None:
    block.depthwise.dilation = (2, 2)
    block.depthwise.padding = tuple(2 * p for p in block.depthwise.padding)


def with_bias(block: LinearBottleneck) -> None:
    block.project.bias = nn.Parameter(torch.ones(block.project.out_channels))


def with_epsilon(block: LinearBottleneck) -> None:
    block.depthwise_norm.eps = 0.5


def folded(block: LinearBottleneck) -> None:
    for name in ("expand", "depthwise", "project"):
        layer, norm = block.get_submodule(name), block.get_submodule(f"{name}_norm")
        block.set_submodule(name, fusion.fuse_conv_bn_eval(layer, norm))
        block.set_submodule(f"{name}_norm", nn.Identity())


@pytest.mark.parametrize("change", [dilated, with_bias, with_epsilon, folded])
def test_a_setting_of_a_layer(grey, change):
    reference = twin(grey)
    for module in (grey, reference):
        change(first_block(module))
    same(grey, reference, images(grey))


def test_a_stem_for_other_images(grey):
    grey.stem.convolution = nn.Conv2d(4, grey.stem.convolution.out_channels, 3, padding=1)
    assert logits(grey, torch.zeros(2, 4, 12, 12)).shape == (2, 4)
    with pytest.raises(ValueError, match=r"shape \[N, 4, H, W\]"):
        grey(torch.zeros(2, 1, 12, 12))
    grey.stem = nn.Identity()
    with pytest.raises(ValueError, match="expand must have shape"):
        grey(torch.zeros(2, 1, 12, 12))


# Quantised


def test_linear_layers_are_quantised_dynamically(grey):
    quantised = quantize_dynamic(copy.deepcopy(grey), {nn.Linear})
    kinds = [type(m) for m in quantised.modules() if isinstance(m, nn.quantized.Linear)]
    assert kinds
    assert_close(logits(quantised, images(grey)), logits(grey, images(grey)), rtol=0.1, atol=0.05)


def test_a_layer_is_quantised_statically(grey):
    quantised = copy.deepcopy(grey)
    block = first_block(quantised)
    torch.backends.quantized.engine = "fbgemm"
    for name in LAYERS:
        wrapped = torch.ao.quantization.QuantWrapper(block.get_submodule(name))
        wrapped.qconfig = torch.ao.quantization.get_default_qconfig("fbgemm")
        block.set_submodule(name, wrapped)
    torch.ao.quantization.prepare(quantised, inplace=True)
    logits(quantised, images(grey, 8))
    torch.ao.quantization.convert(quantised, inplace=True)
    assert isinstance(block.project.module, nn.quantized.Conv2d)
    assert_close(logits(quantised, images(grey)), logits(grey, images(grey)), rtol=0.1, atol=0.1)


def test_the_whole_network_is_quantised_by_fx(grey):
    from torch.ao.quantization import get_default_qconfig_mapping, quantize_fx

    x = images(grey, 16)
    prepared = quantize_fx.prepare_fx(
        copy.deepcopy(grey), get_default_qconfig_mapping("fbgemm"), (x,)
    )
    logits(prepared, x)
    quantised = quantize_fx.convert_fx(prepared)
    assert any("Quantized" in type(m).__name__ or "quantized" in type(m).__module__
               for m in quantised.modules())  # fmt: skip
    found, expected = logits(quantised, x), logits(grey, x)
    assert (found - expected).norm() < 0.2 * expected.norm()


def test_quantisation_aware_training_by_fx(grey):
    from torch.ao.quantization import get_default_qat_qconfig_mapping, quantize_fx

    x = images(grey, 8)
    mapping = get_default_qat_qconfig_mapping("fbgemm")
    prepared = quantize_fx.prepare_qat_fx(copy.deepcopy(grey).train(), mapping, (x,))
    prepared(x).square().sum().backward()
    assert logits(quantize_fx.convert_fx(prepared.eval()), x).isfinite().all()


# Weights


def test_weights_are_contiguous_and_flat(network, tmp_path):
    assert all(value.is_contiguous() for value in network.state_dict().values())
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    other = Network.build(network.space, network.genotype).eval()
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(logits(other, images(network)), logits(network, images(network)))
    flat = parameters_to_vector(network.parameters())
    vector_to_parameters(2 * flat, network.parameters())
    assert torch.equal(parameters_to_vector(network.parameters()), 2 * flat)


@pytest.mark.parametrize("assign", [False, True])
def test_a_state_goes_round(network, assign):
    other = Network.build(network.space, network.genotype).eval()
    other.load_state_dict(network.state_dict(), assign=assign)
    assert torch.equal(logits(other, images(network)), logits(network, images(network)))


def test_changed_weights_are_saved(grey, tmp_path):
    for layer in (grey.stem.convolution, first_block(grey).expand):
        pruned(layer)
        prune.remove(layer, "weight")
    grey.tail.classifier = nn.Linear(grey.tail.classifier.in_features, 9)
    save_file(grey.state_dict(), tmp_path / "weights.safetensors")
    assert load_file(tmp_path / "weights.safetensors")["tail.classifier.weight"].shape[0] == 9
    assert logits(grey, images(grey)).shape == (3, 9)


def test_lbfgs_steps_on_flat_gradients(network):
    network.train()
    optimiser = torch.optim.LBFGS(network.parameters(), max_iter=1)

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = network(images(network)).square().mean()
        loss.backward()
        return loss

    before = parameters_to_vector(network.parameters()).clone()
    assert float(optimiser.step(closure).detach()) > 0
    assert not torch.equal(parameters_to_vector(network.parameters()), before)


# Modes, dtypes, layouts


@pytest.mark.parametrize("name", ["expand_norm", "depthwise_norm", "project_norm"])
@pytest.mark.parametrize("training", [False, True])
def test_one_norm_in_another_mode(grey, name, training):
    """Each BN layer moves its statistics, or keeps them, by its own mode (and momentum)."""
    reference = twin(grey)
    for module in (grey, reference):
        module.train(training)
        block = first_block(module)
        block.get_submodule(name).train(not training)
        block.project_norm.momentum = 0.3
    for _ in range(2):
        assert_close(grey(images(grey)), reference(images(grey)), **CLOSE)
    assert_close(grey.state_dict(), reference.state_dict(), **CLOSE)
    for module in (grey, reference):
        module(images(grey)).square().sum().backward()
    for mine, other in zip(grey.parameters(), reference.parameters(), strict=True):
        assert_close(mine.grad, other.grad, **CLOSE)


def test_norms_without_statistics_or_with_a_cumulative_average(grey):
    reference = twin(grey)
    for module in (grey, reference):
        block = first_block(module.train())
        block.expand_norm.momentum = None
        block.depthwise_norm.track_running_stats = False
        block.depthwise_norm.running_mean = block.depthwise_norm.running_var = None
        block.project_norm.track_running_stats = False
    for _ in range(2):
        assert_close(grey(images(grey)), reference(images(grey)), **CLOSE)
    assert_close(grey.state_dict(), reference.state_dict(), **CLOSE)
    assert_close(grey.eval()(images(grey)), reference.eval()(images(grey)), **CLOSE)


TOLERANCE = {torch.float64: 1e-9, torch.float16: 0.02, torch.bfloat16: 0.1}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("training", [False, True])
def test_other_dtypes(network, dtype, training):
    expected = twin(network).train(training).double()(images(network).double())
    changed = network.train(training).to(dtype)
    found = changed(images(network).to(dtype))
    assert found.dtype == dtype
    assert (found - expected).norm() < TOLERANCE[dtype] * expected.norm()
    found.square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.dtype == dtype for p in changed.parameters())


def test_autocast_to_half(grey):
    expected = logits(grey, images(grey))
    for dtype in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype):
            assert_close(logits(grey, images(grey)).float(), expected, rtol=0.1, atol=0.05)


def test_layouts_of_images(network):
    x = images(network, size=13)
    expected = logits(network, x)
    last = x.contiguous(memory_format=torch.channels_last)
    gaps = torch.stack((x, x), dim=-1)[..., 0]
    for given in (last, gaps, x.flip(0).flip(0), x.transpose(2, 3).contiguous().transpose(2, 3)):
        assert_close(logits(network, given), expected, **CLOSE)
    moved = copy.deepcopy(network).to(memory_format=torch.channels_last)
    assert_close(logits(moved, last), expected, **CLOSE)


# Gradients and transforms


@pytest.mark.parametrize("frozen", [False, True])
def test_gradients_with_fixed_statistics(network, frozen):
    reference = twin(network)
    outs, wanted = [], []
    for module in (network, reference):
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(not (frozen and "expand" in name))
        x = images(network).requires_grad_()
        outs.append(module(x))
        outs[-1].square().sum().backward()
        wanted.append([x.grad, *(p.grad for p in module.parameters() if p.requires_grad)])
        assert all(p.grad is None for p in module.parameters() if not p.requires_grad)
    assert_close(*outs, **CLOSE)
    assert_close(*wanted, **CLOSE)


def test_gradients_on_cost_no_more_than_the_operators(grey):
    """Where nobody asks for a gradient, evaluation computes by the same operators."""
    with torch.no_grad():
        expected = grey(images(grey))
    block, x = first_block(grey), torch.randn(2, first_block(grey).expand.in_channels, 6, 6)
    assert torch.equal(block(x), logits(block, x))
    assert_close(grey(images(grey)), expected, **CLOSE)


def test_second_derivatives_are_refused_or_the_twins(grey):
    """One process differentiates a fused network once; plain layers any number of times."""
    for module in (grey, twin(grey)):
        x = images(grey).requires_grad_()
        (slope,) = torch.autograd.grad(module(x).square().sum(), x, create_graph=True)
        if module is grey:
            with pytest.raises(RuntimeError, match=r"differentiated twice.* kernels=reference"):
                slope.square().sum().backward()
        else:
            slope.square().sum().backward()
            assert all(p.grad.isfinite().all() for p in module.parameters() if p.grad is not None)


def test_no_second_derivative_passes_for_zero(network):
    """Where only some inputs are asked for, none of them goes without an answer."""
    parameters = list(network.parameters())
    slopes = torch.autograd.grad(
        network(images(network)).pow(3).sum(), parameters, create_graph=True
    )
    penalty = sum(slope.square().sum() for slope in slopes)
    for parameter in parameters:
        with pytest.raises(RuntimeError, match="differentiated twice"):
            torch.autograd.grad(penalty, parameter, retain_graph=True, allow_unused=True)


def test_functional_calls_take_other_weights(network):
    x = images(network)
    state = {name: 1.1 * value for name, value in network.named_parameters()}
    other = copy.deepcopy(network)
    other.load_state_dict(state, strict=False)
    found = torch.func.functional_call(network, state, (x,))
    assert_close(found, other(x), **CLOSE)
    assert_close(network(x), twin(network)(x), **CLOSE)


def test_transforms_of_functions(network):
    x, reference = images(network), twin(network)
    same(torch.func.vmap(network), lambda own: logits(reference, own[:, 0])[:, None], x[:, None])

    def loss(state: dict[str, Tensor], module: nn.Module, image: Tensor) -> Tensor:
        return torch.func.functional_call(module, state, (image[None],)).square().sum()

    each = []
    for module in (network, reference):
        state = {name: p.detach() for name, p in module.named_parameters()}
        per_image = torch.func.vmap(torch.func.grad(loss), (None, None, 0))
        each.append(per_image(state, module, x))
    assert_close(*each, **CLOSE)
    states, _ = torch.func.stack_module_state([network, reference])
    ensemble = torch.func.vmap(
        lambda state: torch.func.functional_call(network, (state, dict(network.named_buffers())), x)
    )
    for out in ensemble({name: states[name] for name, _ in network.named_parameters()}):
        assert_close(out, logits(reference, x), **CLOSE)
    _, slope = torch.func.jvp(network, (x,), (torch.ones_like(x),))
    assert_close(slope, torch.func.jvp(reference, (x,), (torch.ones_like(x),))[1], **CLOSE)


# Copies


@pytest.mark.parametrize("training", [False, True])
def test_copies_are_independent_and_the_same(network, training, tmp_path):
    x = images(network)
    network.train(training)
    first_block(network).expand.register_forward_hook(print_nothing)
    torch.save(network, tmp_path / "network.pt")
    copies = [
        copy.deepcopy(network),
        pickle.loads(pickle.dumps(network)),
        torch.load(tmp_path / "network.pt", weights_only=False),
    ]
    for other in copies:
        assert_close(other(x), network(x), **CLOSE)
        seen = []
        first_block(other).project.register_forward_hook(lambda *_, seen=seen: seen.append(1))
        other(x)
        assert seen == [1]
        next(other.parameters()).data.zero_()
        assert not torch.equal(next(network.parameters()), next(other.parameters()))


def print_nothing(*_: Any) -> None:
    """Be a hook that can be pickled."""


def replica_of(module: nn.Module) -> nn.Module:
    """Replicate as DataParallel does: tensors that are no parameters, in copied modules."""
    replica = module._replicate_for_data_parallel()
    for name, child in module._modules.items():
        setattr(replica, name, None if child is None else replica_of(child))
    for name, parameter in module._parameters.items():
        setattr(replica, name, None if parameter is None else parameter * 1)
    for name, buffer in module._buffers.items():
        setattr(replica, name, None if buffer is None else buffer.clone())
    return replica


def test_replicas_give_gradients_to_the_network(network):
    reference = twin(network)
    for module, run in ((network, replica_of(network)), (reference, reference)):
        out = run(images(network))
        out.square().sum().backward()
        assert all(p.grad is not None for p in module.parameters())
    for mine, other in zip(network.parameters(), reference.parameters(), strict=True):
        assert_close(mine.grad, other.grad, **CLOSE)
    same(nn.DataParallel(network), reference, images(network))


def test_an_average_of_weights(grey):
    averaged = torch.optim.swa_utils.AveragedModel(grey, use_buffers=True)
    averaged.update_parameters(grey)
    same(averaged, twin(grey), images(grey))


def test_hypernetworks_are_watched_too():
    space = SearchSpace.profile("nano", **OPTIONS, in_channels=1)
    supernet, genotype = SuperNet(space), space.sample(1, p_drop=0.3, seed=1)[0]
    x = torch.randn(4, 1, 12, 12)
    expected, seen = supernet(x, genotype), []
    for layer in supernet.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda *_: seen.append(1))
    assert_close(supernet(x, genotype), expected, **CLOSE)
    assert len(seen) > 3


@pytest.mark.parametrize("training", [False, True])
def test_statistics_of_all_processes_are_those_of_one_that_is_alone(network, training):
    reference = twin(network.train(training))
    synchronise_(network, lambda sums: sums)
    assert_close(network(images(network)), reference(images(network)), **CLOSE)
    assert_close(network.state_dict(), reference.state_dict(), **CLOSE)
