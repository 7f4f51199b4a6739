"""What surrounds a block on CUDA: sums of a node, architectures, views, graphs, bad arguments."""

from importlib import import_module
from typing import Any

import pytest
import torch
from blocks import Case, draw, forward, image, infer, moved, train, twin
from numerics import error

from stnas.ops.bottleneck import reference
from stnas.ops.bottleneck.arguments import Options
from stnas.ops.bottleneck.path import PathEdge, linear_bottleneck_path
from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.ops.layers.reference import BatchNorm
from stnas.ops.shapes import empty_image, out_size

CASE = Case((3, 9, 9, 2, 6, 7))


@pytest.fixture
def fused(kernels, monkeypatch):
    """Let the Python functions of the operators call the kernels under test."""
    let_call(monkeypatch, kernels.ops)
    return kernels


def let_call(monkeypatch, ops):
    for name in ("block", "path"):
        monkeypatch.setattr(import_module(f"stnas.ops.bottleneck.{name}"), "OPS", ops)


def add_block(ops, case, given, into, *, add, running=(), moments=None):
    return ops.linear_bottleneck_add_(
        given.x, moments, given.weights, given.affine, list(running), 0.3, into, add,
        *case.options, False,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_a_block_is_added_to_its_node(kernels, dtype):
    given = draw(CASE, dtype)
    block = twin(CASE, given, torch.float64, training=True)["out"]
    start = image(torch.randn(block.shape).to(dtype))
    there, into = moved(given, kernels.device), start.clone().to(kernels.device)
    running = [value.clone() for value in there.running]
    moments = kernels.ops.node_moments(there.x)
    kept = add_block(kernels.ops, CASE, there, into, add=True, running=running, moments=moments)
    assert all(len(part) == 0 for part in kept)
    assert error(into, start.double() + block) <= (1e-12 if dtype == torch.float64 else 2.0**-6)
    alone = into.clone()
    add_block(kernels.ops, CASE, there, alone, add=False)
    assert torch.equal(alone, train(kernels.ops, CASE, there)["out"])
    norms = [
        BatchNorm(*(v.double() for v in (*given.affine[i : i + 2], *given.running[i : i + 2])))
        for i in (0, 2, 4)
    ]
    values = [BottleneckWeights(*(w.double() for w in given.weights)), norms]
    reference.linear_bottleneck(
        given.x.double(), *values, stride=1, activation="relu6", residual=True, training=True,
        momentum=0.3,
    )  # fmt: skip
    expected = [value for norm in norms for value in norm[2:]]
    bound = 1e-12 if dtype == torch.float64 else 2.0**-6
    assert all(error(a, b) <= bound for a, b in zip(running, expected, strict=True))


def architecture(channels, dtype, device):
    """Return the edges of five nodes, with every kind of step."""
    c = channels
    blocks = {
        (0, 1): Case((2, c, c, 3, 8, 8), 3, 1), (0, 3): Case((2, c, c, 2, 8, 8), 5, 1),
        (1, 4): Case((2, c, 10, 1, 8, 8), 3, 2), (3, 4): Case((2, c, 10, 6, 8, 8), 7, 2),
    }  # fmt: skip
    edges = []
    for source, target in [(0, 1), (0, 2), (1, 2), (0, 3), (2, 3), (1, 4), (3, 4)]:
        case = blocks.get((source, target))
        if case is None:
            edges.append(PathEdge(source, target))
            continue
        given = moved(draw(case, dtype, seed=target), device)
        weights = BottleneckWeights(*(w.requires_grad_() for w in given.weights))
        affine = [v.requires_grad_() for v in given.affine]
        norms = [
            BatchNorm(*affine[2 * i : 2 * i + 2], *given.running[2 * i : 2 * i + 2])
            for i in range(3)
        ]
        options = Options(case.stride, "silu", case.residual)
        edges.append(PathEdge(source, target, weights, (norms[0], norms[1], norms[2]), options))
    return edges


def path_outcome(channels, dtype, device):
    """Return output, running statistics and gradients; those of bfloat16 in one vector.

    Single ones nearly cancel: that of a squeeze weight over two images is 0.1 of its norm off.
    """
    x = draw(Case((2, channels, channels, 1, 8, 8)), dtype).x.to(device).requires_grad_()
    edges = architecture(channels, dtype, device)
    out = linear_bottleneck_path(x, edges, mean=True)
    tensors = [w for edge in edges if edge.weights for w in edge.weights]
    norms = [v for edge in edges if edge.weights for norm in edge.norms for v in norm]
    grads = torch.autograd.grad(out.float().square().sum(), [x, *tensors])
    if dtype == torch.bfloat16:
        grads = [torch.cat([grad.flatten().float() for grad in grads])]
    return [out.detach(), *norms, *grads]


@pytest.mark.parametrize("channels", [8, 10])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_an_architecture_is_that_of_the_cpu(fused, monkeypatch, dtype, channels):
    found = path_outcome(channels, dtype, fused.device)
    let_call(monkeypatch, torch.ops.stnas)
    expected = path_outcome(channels, dtype, torch.device("cpu"))
    bound = 1e-9 if dtype == torch.float64 else 2.0**-4
    for ours, theirs in zip(found, expected, strict=True):
        assert error(ours, theirs) <= bound


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shift", [1, 2, 4])
def test_tensors_may_begin_anywhere(kernels, shift, dtype):
    case = Case((2, 8, 8, 2, 5, 5))

    def shifted(value):
        dense = value.permute(0, 2, 3, 1) if value.dim() == 4 else value
        around = value.new_zeros(value.numel() + shift)[shift:]
        view = around.view(dense.shape).copy_(dense)
        return view.permute(0, 3, 1, 2) if value.dim() == 4 else view

    plain = moved(draw(case, dtype), kernels.device)
    askew = plain._replace(
        x=shifted(plain.x),
        weights=[w.new_zeros(w.numel() + 1)[1:].view(w.shape).copy_(w) for w in plain.weights],
    )
    expected, found = (train(kernels.ops, case, given) for given in (plain, askew))
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert torch.equal(infer(kernels.ops, case, askew), infer(kernels.ops, case, plain))
    into, bare = (image(torch.ones_like(plain.x)) for _ in range(2))
    into = shifted(into)
    for target, given in ((into, askew), (bare, plain)):
        add_block(kernels.ops, case, given, target, add=True)
    assert torch.equal(into, bare)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_step_is_captured_in_a_graph(kernels, dtype):
    if kernels.emulated:
        pytest.skip("graphs are a GPU's")
    given = moved(draw(CASE, dtype), kernels.device)
    expected = train(kernels.ops, CASE, given)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = train(kernels.ops, CASE, given)
    graph.replay()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


BAD: list[tuple[str, Any, str]] = [
    ("x", lambda v: v[0], "x must have 4 dimensions"),
    ("x", lambda v: v[:0], "x must not be empty"),
    ("x", lambda v: v.half(), "x must be a float32, float64 or bfloat16 tensor"),
    ("x", lambda v: v.contiguous(), "x must be in channels_last order"),
    ("expand", lambda v: v.double(), "expand must be on .* and have the dtype of x"),
    ("depthwise", lambda v: v[..., :2, :2], "kernel 3, 5 or 7, got 2"),
    ("project", lambda v: v[:, :4], r"project must have shape \[9, 18, 1, 1\]"),
    ("squeeze_weight", lambda v: v.t().contiguous().t(), "squeeze_weight must be contiguous"),
    ("stride", lambda v: 3, "stride must be 1, 2 or 4, got 3"),
    ("activation", lambda v: "gelu", "activation must be relu, relu6, hardswish or silu, got gelu"),
    ("residual", lambda v: True, "residual must be False unless stride is 1"),
]


@pytest.mark.parametrize(("name", "change", "message"), BAD, ids=[row[2] for row in BAD])
def test_bad_input_raises_what_the_cpu_form_raises(kernels, name, change, message):
    errors = []
    for ops, device in ((torch.ops.stnas, "cpu"), (kernels.ops, kernels.device)):
        given = moved(draw(CASE, torch.float32), device)
        stride = 2 if name == "residual" else 1
        weights = dict(zip(BottleneckWeights._fields, given.weights, strict=True))
        into = empty_image(given.x, out_size(given.x, weights["project"], stride))
        values = {"x": given.x, "stride": stride, "activation": "relu6", "residual": False}
        home = weights if name in weights else values
        home[name] = change(home[name])
        x, *options = values.values()
        with pytest.raises(ValueError, match=message) as caught:
            ops.linear_bottleneck_add_(
                x, None, list(weights.values()), given.affine, [], 0.1, into, False, *options,
                False,
            )  # fmt: skip
        errors.append(str(caught.value).replace("the CUDA device of x", "the CPU"))
    assert errors[0] == errors[1]


def test_what_is_kept_of_the_moments_is_what_the_cpu_form_keeps(kernels):
    given = draw(CASE, torch.float64)
    kept = []
    for ops, device in ((torch.ops.stnas, "cpu"), (kernels.ops, kernels.device)):
        there = moved(given, device)
        _, found = forward(ops, there, CASE.options)
        assert found[-1].shape == (19, 9)
        kept.append(found[-1].cpu())
    torch.testing.assert_close(kept[1], kept[0], rtol=1e-12, atol=1e-12)


def test_what_a_gradient_gets_is_checked(kernels):
    given = moved(draw(CASE, torch.float32), kernels.device)
    out, saved = forward(kernels.ops, given, CASE.options)
    for i, name in enumerate(("statistics", "hidden", "projected", "excitation", "expanded")):
        for bad, message in ((saved[i].double(), "the dtype of x"), (saved[i][1:], "shape")):
            kept = [*saved[:i], bad, *saved[i + 1 :]]
            with pytest.raises(ValueError, match=f"{name} must .*{message}"):
                kernels.ops.linear_bottleneck_backward(
                    out, given.x, given.weights, given.affine, kept, *CASE.options
                )
