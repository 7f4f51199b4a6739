"""The choice block on bfloat16 images: against the twin in float64 on the same rounded values."""

from itertools import product
from typing import Any

import pytest
import torch
from instruction_sets import check_tests, with_every_instruction_set
from numerics import Norms, error
from torch import Tensor
from torch.testing import assert_close

from stnas.ops import linear_bottleneck
from stnas.ops.bottleneck import reference
from stnas.ops.bottleneck.arguments import Options
from stnas.ops.bottleneck.path import PathEdge, linear_bottleneck_path
from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.ops.layers.reference import BatchNorm

# images, in, out, expand, height, width: groups, strips, padded channels, one pixel, odd sizes
SIZES = [
    (2, 16, 24, 1, 14, 14),
    (1, 5, 7, 3, 57, 56),
    (70, 24, 24, 2, 4, 4),
    (5, 17, 33, 2, 2, 2),
    (1, 3, 5, 2, 5, 1),
    (9, 40, 40, 3, 7, 7),
    (4, 2, 2, 1, 1, 1),
]
ROUNDOFF = 2.0**-9
"""Largest relative error of one rounding to bfloat16, which has 8 bits of significand."""
OUTPUT, GRADIENT = 6 * ROUNDOFF, 14 * ROUNDOFF
"""Bounds of the error's norm over the value's.

An output's roundings: expand weights, depthwise result, gated result, project weights, project,
sum. A gradient has those of the statistics and activations, and eight of its own: the products'
operands (two weights, x, dy, the gated result, dz), the stored gradient, and the result.
"""


def rounded(size: tuple[int, ...], kernel: int) -> tuple[Tensor, BottleneckWeights, Norms]:
    """Return a bfloat16 input with float32 weights and norms."""
    images, c_in, c_out, expand, height, width = size
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    hidden, squeeze = c_in * expand, max(1, c_in // 4)
    weights = BottleneckWeights(
        draw(hidden, c_in, 1, 1) / c_in**0.5,
        draw(hidden, 1, kernel, kernel) / kernel,
        draw(squeeze, hidden) / hidden**0.5,
        draw(squeeze),
        draw(hidden, squeeze),
        draw(hidden),
        draw(c_out, hidden, 1, 1) / hidden**0.5,
    )
    norms = [
        BatchNorm(1 + 0.3 * draw(c), 0.3 * draw(c), 0.1 * draw(c), 1 + 0.1 * draw(c).abs())
        for c in (hidden, hidden, c_out)
    ]
    x = draw(images, c_in, height, width).bfloat16()
    return x, weights, (norms[0], norms[1], norms[2])


def wide(value: Any) -> Any:
    """Return tensors in float64, tuples of them alike."""
    if isinstance(value, Tensor):
        return value.double()
    return tuple(map(wide, value)) if type(value) is tuple else type(value)(*map(wide, value))


@torch.no_grad()
def assert_infers(x: Tensor, weights: BottleneckWeights, norms: Norms, **options: Any) -> Tensor:
    ours = linear_bottleneck(x, weights, norms, training=False, **options)
    exact = reference.linear_bottleneck(
        x.double(), wide(weights), wide(norms), training=False, **options
    )
    assert ours.dtype == torch.bfloat16
    assert error(ours, exact) <= OUTPUT
    return ours


def step(
    form: Any, x: Tensor, weights: BottleneckWeights, norms: Norms, **options: Any
) -> dict[str, Tensor]:
    """Return output, gradients and running statistics of one training step on copies."""
    x = x.clone().requires_grad_()
    weights = BottleneckWeights(*(w.clone().requires_grad_() for w in weights))
    own = [BatchNorm(*(v.clone() for v in norm)) for norm in norms]
    affine = [v.requires_grad_() for norm in own for v in norm[:2] if v is not None]
    out = form(x, weights, (own[0], own[1], own[2]), training=True, **options)
    grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    grads = torch.autograd.grad(out, [x, *weights, *affine], grad.bfloat16().to(out.dtype))
    names = ["x", *weights._fields, *(f"affine{i}" for i in range(6))]
    running = {f"running{i}": v for i, v in enumerate(v for norm in own for v in norm[2:])}
    return {"out": out.detach(), **dict(zip(names, grads, strict=True)), **running}


def assert_trains(
    x: Tensor, weights: BottleneckWeights, norms: Norms, **options: Any
) -> dict[str, Tensor]:
    """Compare with the twin in float64.

    Gradients that nearly cancel over the batch, and activations with a kink, which takes an element
    to its other side where rounding does, magnify roundings: so twice the error of torch's own
    bfloat16 is allowed beside them.
    """
    ours = step(linear_bottleneck, x, weights, norms, **options)
    exact = step(reference.linear_bottleneck, x.double(), wide(weights), wide(norms), **options)
    assert ours["out"].dtype == ours["x"].dtype == torch.bfloat16
    assert ours["expand"].dtype == ours["running0"].dtype == torch.float32
    narrow = BottleneckWeights(*(weight.bfloat16() for weight in weights))
    torchs = step(reference.linear_bottleneck, x, narrow, norms, **options)
    for name, value in exact.items():
        bound = OUTPUT if name == "out" or name.startswith("running") else GRADIENT
        assert error(ours[name], value) <= bound + 2 * error(torchs[name], value), name
    return ours


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_inference_equals_twin(size: tuple[int, ...]) -> None:
    for kernel, stride in product((3, 5, 7), (1, 2, 4)):
        options = {"stride": stride, "residual": stride == 1 and size[1] == size[2]}
        assert_infers(*rounded(size, kernel), activation="relu6", **options)


@pytest.mark.parametrize("activation", ["relu", "relu6", "hardswish", "silu"])
def test_activations_equal_twin(activation: str) -> None:
    for stride, size in product((1, 2), SIZES[:4]):
        arguments = rounded(size, 3)
        assert_infers(*arguments, activation=activation, stride=stride, residual=False)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_training_equals_twin(size: tuple[int, ...]) -> None:
    for kernel, stride in product((3, 5, 7), (1, 2, 4)):
        if size[0] * -(-size[4] // stride) * -(-size[5] // stride) < 4:
            continue
        options = {"stride": stride, "residual": stride == 1 and size[1] == size[2]}
        assert_trains(*rounded(size, kernel), activation="silu", **options)


@pytest.mark.parametrize("activation", ["relu", "relu6", "hardswish", "silu"])
def test_activations_train_as_the_twin(activation: str) -> None:
    for stride, size in product((1, 2), (SIZES[0], SIZES[1], SIZES[5])):
        assert_trains(*rounded(size, 5), activation=activation, stride=stride, residual=False)


def test_bfloat16_weights_are_float32_weights_of_the_same_value() -> None:
    x, weights, norms = rounded((2, 8, 8, 2, 6, 6), 3)
    weights = BottleneckWeights(*(w.bfloat16() for w in weights))
    norms = tuple(BatchNorm(*(v.bfloat16() for v in norm)) for norm in norms)  # type: ignore
    options: dict[str, Any] = {"stride": 1, "activation": "silu", "residual": True}
    ours = assert_infers(x, weights, norms, **options)
    floats = BottleneckWeights(*(w.float() for w in weights))
    norms = tuple(BatchNorm(*(v.float() for v in norm)) for norm in norms)  # type: ignore
    assert torch.equal(ours, assert_infers(x, floats, norms, **options))


@pytest.mark.parametrize("channels", [9, 48])
def test_results_do_not_depend_on_threads(channels: int) -> None:
    threads = torch.get_num_threads()
    try:
        arguments = rounded((40, channels, channels, 2, 16, 16), 5)
        options: dict[str, Any] = {"stride": 1, "activation": "relu6", "residual": True}
        results = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            inferred = {"inferred": assert_infers(*arguments, **options)}
            results.append(inferred | step(linear_bottleneck, *arguments, **options))
        for other in results[1:]:
            assert all(torch.equal(other[name], results[0][name]) for name in other)
    finally:
        torch.set_num_threads(threads)


def test_constant_channels() -> None:
    x, weights, norms = rounded((4, 8, 8, 2, 6, 6), 3)
    x[:, 2] = 1.5
    weights.expand[3] = 0
    weights.depthwise[5] = 0
    assert_infers(x, weights, norms, stride=1, activation="hardswish", residual=True)
    assert_trains(x, weights, norms, stride=1, activation="silu", residual=True)


@torch.no_grad()
@pytest.mark.parametrize("bits", [0x7FC0, 0x7FFF, -1, 0x7F81], ids=hex)
def test_every_nan_stays_one(bits: int) -> None:
    x, weights, norms = rounded((2, 7, 7, 2, 6, 6), 3)
    x.view(torch.int16)[0, 0, 0, 0] = bits
    options: dict[str, Any] = {"stride": 1, "activation": "relu6", "residual": True}
    out = linear_bottleneck(x, weights, norms, training=False, **options)
    assert out[0, 0, 0, 0].isnan()
    assert not out[1].isnan().any()
    assert linear_bottleneck(x, weights, norms, training=True, **options).isnan().all()


@torch.no_grad()
def test_results_are_rounded_to_nearest_even() -> None:
    _, weights, norms = rounded((1, 8, 8, 2, 4, 4), 3)
    weights = weights._replace(project=torch.zeros_like(weights.project))
    ties = 1 + torch.arange(8) * ROUNDOFF  # every second one lies halfway between two bfloat16
    third = BatchNorm(None, ties - 1, torch.zeros(8), torch.ones(8))
    out = linear_bottleneck(
        torch.ones(1, 8, 4, 4).bfloat16(), weights, (*norms[:2], third),
        stride=1, activation="relu6", residual=True, training=False,
    )  # fmt: skip
    assert torch.equal(out[0, :, 0, 0], ties.bfloat16())


def test_inference_takes_its_gradient_from_the_twin() -> None:
    x, weights, norms = rounded((2, 8, 8, 2, 6, 6), 3)
    options: dict[str, Any] = {"stride": 1, "activation": "relu6", "residual": True}
    image = x.requires_grad_()
    linear_bottleneck(image, weights, norms, training=False, **options).float().sum().backward()
    exact = x.detach().double().requires_grad_()
    reference.linear_bottleneck(
        exact, wide(weights), wide(norms), training=False, **options
    ).sum().backward()
    assert image.grad is not None
    assert_close(image.grad.double(), exact.grad, rtol=0.1, atol=0.1)


def test_opcheck() -> None:
    x, weights, norms = rounded((2, 8, 8, 2, 6, 6), 3)
    x = x.contiguous(memory_format=torch.channels_last)
    running = [value for norm in norms for value in norm[2:]]
    options = (1, "silu", True)
    inference = (x, list(weights), [None] * 6, running, *options)
    torch.library.opcheck(torch.ops.stnas.linear_bottleneck_inference.default, inference)
    out = torch.zeros_like(x)
    forward = (x, None, list(weights), [None] * 6, [], 0.1, out, False, *options, True)
    torch.library.opcheck(torch.ops.stnas.linear_bottleneck_add_.default, forward)
    kept = torch.ops.stnas.linear_bottleneck_add_(*forward)
    backward = (out, x, list(weights), [None] * 6, kept, *options)
    torch.library.opcheck(torch.ops.stnas.linear_bottleneck_backward.default, backward)
    torch.library.opcheck(torch.ops.stnas.node_moments.default, (x,))


def test_weights_take_gradients_of_their_own_dtype() -> None:
    x, weights, norms = rounded((2, 8, 8, 2, 6, 6), 3)
    narrow = BottleneckWeights(*(w.bfloat16() for w in weights))
    options: dict[str, Any] = {"stride": 1, "activation": "silu", "residual": True}
    ours = step(linear_bottleneck, x, narrow, norms, **options)
    floats = BottleneckWeights(*(w.float() for w in narrow))
    expected = step(linear_bottleneck, x, floats, norms, **options)
    for name in weights._fields:
        assert ours[name].dtype == torch.bfloat16
        assert torch.equal(ours[name], expected[name].bfloat16())


def test_autocast_computes_in_bfloat16() -> None:
    x, weights, norms = rounded((2, 8, 8, 2, 6, 6), 3)
    options: dict[str, Any] = {"stride": 1, "activation": "relu6", "residual": True}
    expected = step(linear_bottleneck, x, weights, norms, **options)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = step(linear_bottleneck, x.float(), weights, norms, **options)
        double = linear_bottleneck(x.double(), wide(weights), wide(norms), training=True, **options)
    assert ours["x"].dtype == torch.float32
    assert double.dtype == torch.float64
    assert all(
        torch.equal(ours[name], value.to(ours[name].dtype)) for name, value in expected.items()
    )


def test_a_path_gives_the_values_of_its_blocks() -> None:
    x, weights, norms = rounded((2, 48, 48, 1, 6, 6), 3)
    options = Options(1, "relu6", True)
    edges = [PathEdge(i, j, weights, norms, options) for i, j in ((0, 1), (0, 2), (1, 2))]
    given: dict[str, Any] = {**options._asdict(), "training": True}
    one = linear_bottleneck(x, weights, norms, **given)
    two = linear_bottleneck(x, weights, norms, **given)
    expected = linear_bottleneck(one, weights, norms, into=two, **given)
    assert torch.equal(linear_bottleneck_path(x, edges), expected)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"expand": torch.float64}, TypeError, "or be bfloat16 beside float32, got torch.bfloat16"),
        ({"project": torch.float64}, ValueError, "project must .* float32 beside a bfloat16 x"),
        ({"running": torch.bfloat16}, ValueError, "running_mean must .* float32 beside a bfloat16"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_errors(changes: dict[str, torch.dtype], error: type[Exception], message: str) -> None:
    x, weights, norms = rounded((2, 8, 8, 2, 6, 6), 3)
    for name, dtype in changes.items():
        if name == "running":
            norms = tuple(BatchNorm(*n[:2], *(v.to(dtype) for v in n[2:])) for n in norms)  # type: ignore
        else:
            weights = weights._replace(**{name: getattr(weights, name).to(dtype)})
    with pytest.raises(error, match=message):
        linear_bottleneck(
            x, weights, norms, stride=1, activation="relu6", residual=True, training=True
        )


@with_every_instruction_set
def test_every_instruction_set_passes_these_tests(isa: str) -> None:
    check_tests(isa, __file__)
