"""The fused linear bottleneck against its twin: values, gradients, registrations, errors."""

from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from instruction_sets import check_tests, run_python, with_every_instruction_set
from numerics import TOLERANCE, Norms, block, error
from torch import Tensor
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from stnas.ops.bottleneck import reference
from stnas.ops.bottleneck.block import linear_bottleneck, node_moments
from stnas.ops.bottleneck.reference import BottleneckWeights
from stnas.ops.layers.reference import BatchNorm

# images, in, out, expand, height, width: groups, strips, padded channels, one pixel, odd sizes
SIZES = [
    (3, 8, 8, 4, 9, 9),
    (2, 16, 24, 1, 14, 14),
    (1, 5, 7, 3, 57, 56),
    (70, 24, 24, 2, 4, 4),
    (5, 17, 33, 2, 2, 2),
    (1, 3, 5, 2, 5, 1),
    (9, 40, 40, 3, 7, 7),
    (2, 16, 16, 3, 32, 33),
    (4, 2, 2, 1, 1, 1),
]


def outcome(
    form: Any,
    x: Tensor,
    weights: BottleneckWeights,
    norms: Norms,
    dtype: torch.dtype,
    **options: Any,
) -> dict[str, Tensor]:
    """Return output, gradients and running statistics of one call on copies in ``dtype``."""
    training = options["training"]
    x = x.to(dtype, copy=True).requires_grad_(training)
    weights = BottleneckWeights(*(w.to(dtype, copy=True).requires_grad_(training) for w in weights))
    norms = tuple(
        BatchNorm(*(v if v is None else v.to(dtype, copy=True) for v in n)) for n in norms
    )  # type: ignore[assignment]
    affine = [v.requires_grad_(training) for n in norms for v in n[:2] if v is not None]
    out = form(x, weights, norms, **options)
    result = {"out": out.detach()}
    if training:
        grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
        names = ["x", *weights._fields, *(f"affine{i}" for i in range(len(affine)))]
        grads = torch.autograd.grad(out, [x, *weights, *affine], grad)
        result |= dict(zip(names, grads, strict=True))
    running = [v for n in norms for v in n[2:] if v is not None]
    return result | {f"running{i}": v for i, v in enumerate(running)}


def assert_same(
    x: Tensor,
    weights: BottleneckWeights,
    norms: Norms,
    *,
    dtype: torch.dtype,
    slack: float = 1,
    **options: Any,
) -> None:
    """Compare the fused block in ``dtype`` with the twin in float64.

    slack: a factor of the bound, for drawn shapes: where BN follows one channel alone, the gradient
    of its weight is 0 but for rounding, a sum of many terms that cancel.
    """
    ours = outcome(linear_bottleneck, x, weights, norms, dtype, **options)
    twin = outcome(reference.linear_bottleneck, x, weights, norms, torch.float64, **options)
    bound = slack * TOLERANCE["block" if options["training"] else "inference"][dtype]
    for name, expected in twin.items():
        assert error(ours[name], expected) <= bound, name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_block_equals_twin(size: tuple[int, ...], dtype: torch.dtype) -> None:
    images, c_in, c_out, _, height, width = size
    for kernel, stride, training in product((3, 5, 7), (1, 2, 4), (True, False)):
        if training and images * -(-height // stride) * -(-width // stride) < 2:
            continue
        x, weights, norms = block(size, kernel, dtype=dtype, affine=kernel == 5)
        residual = stride == 1 and c_in == c_out
        options = {"stride": stride, "residual": residual, "training": training}
        assert_same(x, weights, norms, dtype=dtype, activation="relu6", **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("activation", ["relu", "relu6", "hardswish", "silu"])
def test_activations_equal_twin(activation: str, dtype: torch.dtype) -> None:
    for stride, training, size in product((1, 2), (True, False), SIZES[:4]):
        x, weights, norms = block(size, 3, dtype=dtype, affine=True)
        options = {"stride": stride, "residual": False, "training": training}
        assert_same(x, weights, norms, dtype=dtype, activation=activation, **options)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(
        st.integers(1, 6), st.integers(1, 35), st.integers(1, 35), st.integers(1, 4),
        st.integers(1, 20), st.integers(1, 20),
    ),
    kernel=st.sampled_from([3, 5, 7]),
    stride=st.sampled_from([1, 2, 4]),
    activation=st.sampled_from(["relu6", "hardswish", "silu"]),
    affine=st.booleans(),
    training=st.booleans(),
    seed=st.integers(0, 1000),
)  # fmt: skip
def test_any_shape_equals_twin(
    size: tuple[int, ...], kernel: int, stride: int, activation: str, affine: bool,
    training: bool, seed: int,
) -> None:  # fmt: skip
    if training and size[0] * -(-size[4] // stride) * -(-size[5] // stride) < 8:
        return
    x, weights, norms = block(size, kernel, dtype=torch.float64, affine=affine, seed=seed)
    residual = stride == 1 and size[1] == size[2]
    options = {"stride": stride, "residual": residual, "training": training}
    assert_same(x, weights, norms, dtype=torch.float64, slack=10, activation=activation, **options)


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("activation", ["hardswish", "silu"])
def test_gradcheck(activation: str, stride: int) -> None:
    x, weights, norms = block((2, 3, 3, 2, 5, 6), 3, dtype=torch.float64, affine=True)
    leaves = [x, *weights, *(v for n in norms for v in n[:2] if v is not None)]

    def call(*values: Tensor) -> Tensor:
        affine = [BatchNorm(*values[8 + 2 * i : 10 + 2 * i]) for i in range(3)]
        return linear_bottleneck(
            values[0], BottleneckWeights(*values[1:8]), (affine[0], affine[1], affine[2]),
            stride=stride, activation=activation, residual=stride == 1, training=True,
        )  # fmt: skip

    assert torch.autograd.gradcheck(call, [leaf.requires_grad_() for leaf in leaves], atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_opcheck(dtype: torch.dtype) -> None:
    x, weights, norms = block((2, 8, 8, 2, 6, 6), 3, dtype=dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    options = (1, "silu", True)
    for keep in (False, True):
        out = torch.zeros_like(x)
        forward = (x, None, list(weights), [None] * 6, [], 0.1, out, False, *options, keep)
        torch.library.opcheck(torch.ops.stnas.linear_bottleneck_add_.default, forward)
    kept = torch.ops.stnas.linear_bottleneck_add_(*forward)
    backward = (torch.ones_like(out), x, list(weights), [None] * 6, kept, *options)
    torch.library.opcheck(torch.ops.stnas.linear_bottleneck_backward.default, backward)
    running = [value for norm in norms for value in norm[2:]]
    inference = (x, list(weights), [None] * 6, running, *options)
    torch.library.opcheck(torch.ops.stnas.linear_bottleneck_inference.default, inference)


def test_result_does_not_depend_on_threads() -> None:
    threads = torch.get_num_threads()
    try:
        for size in [(40, 8, 8, 3, 16, 16), (3, 16, 16, 2, 50, 50)]:
            x, weights, norms = block(size, 5, dtype=torch.float32)
            options = {"stride": 1, "activation": "relu6", "residual": True, "training": True}
            results = []
            for count in (1, 2, 3):
                torch.set_num_threads(count)
                results.append(outcome(linear_bottleneck, x, weights, norms, x.dtype, **options))
            for other in results[1:]:
                assert all(torch.equal(other[name], results[0][name]) for name in other)
    finally:
        torch.set_num_threads(threads)


def test_large_means_do_not_cancel() -> None:
    x, weights, norms = block((4, 8, 8, 2, 12, 12), 3, dtype=torch.float32)
    options = {"stride": 1, "activation": "relu6", "residual": False, "training": True}
    assert_same(x + 300, weights, norms, dtype=torch.float32, **options)


def test_constant_channels() -> None:
    x, weights, norms = block((4, 8, 8, 2, 6, 6), 3, dtype=torch.float64)
    x[:, 2] = 1.5
    weights.expand[3] = 0
    weights.depthwise[5] = 0
    options = {"stride": 1, "activation": "hardswish", "residual": True, "training": True}
    assert_same(x, weights, norms, dtype=torch.float64, **options)


def test_nan_reaches_the_output() -> None:
    x, weights, norms = block((2, 8, 8, 2, 6, 6), 3, dtype=torch.float32)
    clean = x.clone()
    x[0, 0, 0, 0] = torch.nan
    options: dict[str, Any] = {"stride": 1, "activation": "relu6", "residual": False}
    out = linear_bottleneck(x, weights, norms, training=False, **options)
    assert out[0].isnan().all()  # its gate is that of the whole image
    assert torch.equal(
        out[1], linear_bottleneck(clean, weights, norms, training=False, **options)[1]
    )
    # Last, since running statistics are not a number behind it.
    assert linear_bottleneck(x, weights, norms, training=True, **options).isnan().all()


@pytest.mark.parametrize("training", [True, False])
def test_into_adds_in_place(training: bool) -> None:
    results = []
    for form in (linear_bottleneck, reference.linear_bottleneck):
        x, weights, norms = block((2, 8, 8, 2, 6, 6), 3, dtype=torch.float64)
        start = torch.ones_like(x).contiguous(memory_format=torch.channels_last)
        start.requires_grad_(training)
        into = start * 2
        version = into._version
        options: dict[str, Any] = {"stride": 1, "activation": "silu", "residual": True}
        out = form(x, weights, norms, training=training, into=into, **options)
        assert out.data_ptr() == into.data_ptr()
        assert into._version > version
        grads = torch.autograd.grad(out.square().sum(), start) if training else ()
        results.append((out.detach(), *grads))
    for ours, twin in zip(*results, strict=True):
        assert_close(ours, twin)


def test_moments_may_be_given() -> None:
    x, weights, norms = block((3, 16, 8, 2, 9, 9), 3, dtype=torch.float32)
    options: dict[str, Any] = {"stride": 2, "activation": "relu6", "residual": False}
    alone = linear_bottleneck(x, weights, norms, training=True, **options)
    known = {"moments": node_moments(x), "training": True}
    assert torch.equal(linear_bottleneck(x, weights, norms, **known, **options), alone)
    known["moments"] = torch.zeros(2, 16)
    with pytest.raises(ValueError, match=r"moments must have shape \[17, 16\]"):
        linear_bottleneck(x, weights, norms, **known, **options)
    into = torch.zeros(3, 8, 5, 5)
    with pytest.raises(ValueError, match="into must be in channels_last order"):
        linear_bottleneck(x, weights, norms, training=True, into=into, **options)


def test_strided_input_and_memory_format() -> None:
    x, weights, norms = block((4, 8, 8, 2, 12, 14), 3, dtype=torch.float64)
    options = {"stride": 1, "activation": "relu6", "residual": True, "training": True}
    assert_same(x[::2, :, ::2, 1::3], weights, norms, dtype=torch.float64, **options)
    out = linear_bottleneck(x, weights, norms, **options)  # type: ignore[arg-type]
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_without_running_statistics() -> None:
    x, weights, _ = block((2, 8, 8, 2, 6, 6), 3, dtype=torch.float64)
    norms = (BatchNorm(), BatchNorm(), BatchNorm())
    options: dict[str, Any] = {"stride": 1, "activation": "relu6", "residual": True}
    assert_same(x, weights, norms, dtype=torch.float64, training=True, **options)
    with pytest.raises(ValueError, match="running_mean must be a tensor"):
        linear_bottleneck(x, weights, norms, training=False, **options)


def test_cumulative_average() -> None:
    _, weights, norms = block((2, 8, 8, 2, 6, 6), 3, dtype=torch.float64)
    options: dict[str, Any] = {"stride": 1, "activation": "relu6", "residual": True}
    twins = tuple(BatchNorm(*(v if v is None else v.clone() for v in n)) for n in norms)
    for step in range(3):
        x = torch.randn(
            2, 8, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(step)
        )
        momentum = 1 / (step + 1)
        linear_bottleneck(x, weights, norms, training=True, momentum=momentum, **options)
        reference.linear_bottleneck(
            x,
            weights,
            twins,
            training=True,
            momentum=momentum,
            **options,  # type: ignore[arg-type]
        )
    for ours, twin in zip(norms, twins, strict=True):
        assert_close(ours[2:], twin[2:])


def test_autocast_without_kernels_computes_in_the_dtype_of_the_weights() -> None:
    x, weights, norms = block((2, 8, 8, 2, 6, 6), 3, dtype=torch.float32)
    options: dict[str, Any] = {"stride": 1, "activation": "relu6", "residual": True}
    half = x.half()
    with torch.autocast("cpu", dtype=torch.float16):
        out = linear_bottleneck(half, weights, norms, training=True, **options)
    assert out.dtype == torch.float32
    assert_close(out, linear_bottleneck(half.float(), weights, norms, training=True, **options))


def count_flops(form: Any, *, stride: int, training: bool, backward: bool = False) -> int:
    x, weights, norms = block((2, 8, 12, 3, 9, 7), 5, dtype=torch.float32)
    weights = BottleneckWeights(*(w.requires_grad_(training) for w in weights))
    options = {"stride": stride, "activation": "relu6", "residual": False, "training": training}
    forward, gradient = FlopCounterMode(display=False), FlopCounterMode(display=False)
    with forward:
        out = form(x.requires_grad_(training), weights, norms, **options)
    with gradient:
        if backward:
            out.sum().backward()
    return (gradient if backward else forward).get_total_flops()


@pytest.mark.parametrize("stride", [1, 2])
def test_flops_equal_the_twins(stride: int) -> None:
    for training in (True, False):
        ours = count_flops(linear_bottleneck, stride=stride, training=training)
        assert ours == count_flops(reference.linear_bottleneck, stride=stride, training=training)
    forward = count_flops(linear_bottleneck, stride=stride, training=True)
    # The counter's own formula takes a depthwise gradient for a dense one: no twin to compare with.
    gradient = count_flops(linear_bottleneck, stride=stride, training=True, backward=True)
    assert gradient == 2 * forward


def test_inference_takes_its_gradient_from_the_twin() -> None:
    x, weights, norms = block((2, 8, 8, 2, 6, 6), 3, dtype=torch.float32)
    options: dict[str, Any] = {"stride": 1, "activation": "relu6", "residual": True}
    gradients = []
    for function in (linear_bottleneck, reference.linear_bottleneck):
        image = x.clone().requires_grad_()
        function(image, weights, norms, training=False, **options).square().sum().backward()
        gradients.append(image.grad)
    assert_close(gradients[0], gradients[1])
    with torch.no_grad():
        out = linear_bottleneck(x, weights, norms, training=False, **options)
    assert not out.requires_grad


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"stride": 3}, ValueError, "stride must be 1, 2 or 4, got 3"),
        ({"activation": "gelu"}, ValueError, "activation must be relu, .* got gelu"),
        ({"stride": 2, "residual": True}, ValueError, "residual must be False unless stride is 1"),
        ({"x": torch.zeros(2, 8, 6)}, ValueError, "x must have 4 dimensions"),
        ({"x": torch.zeros(0, 8, 6, 6)}, ValueError, "x must not be empty"),
        ({"x": torch.zeros(2, 7, 6, 6)}, ValueError, r"expand must have shape \[16, 7, 1, 1\]"),
        (
            {"x": torch.zeros(2, 8, 6, 6).double()},
            TypeError,
            "x must have the dtype of the weights",
        ),
        ({"x": torch.zeros(2, 8, 6, 6).half()}, TypeError, "x must have the dtype of the weights"),
        ({"depthwise": torch.zeros(16, 1, 4, 4)}, ValueError, "kernel 3, 5 or 7, got 4"),
        ({"depthwise": torch.zeros(16, 1, 3, 5)}, ValueError, "depthwise must have shape"),
        ({"squeeze_weight": torch.zeros(2, 15)}, ValueError, "squeeze_weight must have shape"),
        ({"squeeze_bias": torch.zeros(3)}, ValueError, "squeeze_bias must have shape"),
        ({"excite_weight": torch.zeros(16, 3)}, ValueError, "excite_weight must have shape"),
        ({"excite_bias": torch.zeros(15)}, ValueError, "excite_bias must have shape"),
        ({"project": torch.zeros(8, 15, 1, 1)}, ValueError, "project must have shape"),
        (
            {"project": torch.zeros(8, 16, 1, 1).double()},
            ValueError,
            "project must .* the dtype of x",
        ),
        ({"norm": BatchNorm(torch.ones(15))}, ValueError, "affine must have shape"),
        (
            {"norm": BatchNorm(None, None, torch.ones(15), torch.ones(15))},
            ValueError,
            r"running_mean must have shape \[16\]",
        ),
        ({"x": torch.zeros(1, 8, 1, 1)}, ValueError, "more than 1 value per channel"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_errors_name_argument_rule_and_value(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    x, weights, norms = block((2, 8, 8, 2, 6, 6), 3, dtype=torch.float32)
    options = {"stride": 1, "activation": "relu6", "residual": False, "training": True}
    changes = dict(changes)
    x = changes.pop("x", x)
    norms = (changes.pop("norm", norms[0]), *norms[1:])
    weights = weights._replace(**{n: changes.pop(n) for n in weights._fields if n in changes})
    with pytest.raises(error, match=message):
        linear_bottleneck(x, weights, norms, **options | changes)


PROBE = "import torch, stnas.ops.extension; print(torch.ops.stnas.isa())"


def test_unknown_instruction_set_is_an_error() -> None:
    result = run_python(PROBE, "sse9")
    assert result.returncode != 0
    assert "STNAS_ISA must be one of" in result.stderr


@with_every_instruction_set
def test_every_instruction_set_passes_these_tests(isa: str) -> None:
    assert run_python(PROBE, isa).stdout.split() == [isa]
    names = "equals_twin and float32 or equal_twin and float32 or threads or cancel"
    check_tests(isa, __file__, names=names)
