"""The choice block on bfloat16 images: against the twin in float64 on the same rounded values."""

import os
import subprocess
import sys
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from stnas.ops import linear_bottleneck, reference
from stnas.ops.reference import BatchNorm, BottleneckWeights

Norms = tuple[BatchNorm, BatchNorm, BatchNorm]

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
ROUNDINGS = 6
"""Of an output: expand weights, depthwise result, gated result, project weights, project, sum."""


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
    return type(value)(*map(wide, value))


def assert_near(ours: Tensor, exact: Tensor, roundings: float = ROUNDINGS) -> None:
    """Compare norms: the error of a value is at most the sum of its roundings' errors."""
    assert ours.dtype == torch.bfloat16
    error = (ours.double() - exact).norm()
    assert error <= roundings * ROUNDOFF * (exact.norm() + 0.1 * exact.numel() ** 0.5)


@torch.no_grad()
def assert_infers(x: Tensor, weights: BottleneckWeights, norms: Norms, **options: Any) -> Tensor:
    ours = linear_bottleneck(x, weights, norms, training=False, **options)
    exact = reference.linear_bottleneck(
        x.double(), wide(weights), tuple(map(wide, norms)), training=False, **options
    )
    assert_near(ours, exact)
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


def test_bfloat16_weights_are_float32_weights_of_the_same_value() -> None:
    x, weights, norms = rounded((2, 8, 8, 2, 6, 6), 3)
    weights = BottleneckWeights(*(w.bfloat16() for w in weights))
    norms = tuple(BatchNorm(*(v.bfloat16() for v in norm)) for norm in norms)  # type: ignore
    options: dict[str, Any] = {"stride": 1, "activation": "silu", "residual": True}
    ours = assert_infers(x, weights, norms, **options)
    floats = BottleneckWeights(*(w.float() for w in weights))
    norms = tuple(BatchNorm(*(v.float() for v in norm)) for norm in norms)  # type: ignore
    assert torch.equal(ours, assert_infers(x, floats, norms, **options))


def test_inference_does_not_depend_on_threads() -> None:
    threads = torch.get_num_threads()
    try:
        arguments = rounded((40, 9, 9, 3, 16, 16), 5)
        results = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(assert_infers(*arguments, stride=1, activation="relu6", residual=True))
        assert torch.equal(results[0], results[1])
        assert torch.equal(results[0], results[2])
    finally:
        torch.set_num_threads(threads)


def test_constant_channels() -> None:
    x, weights, norms = rounded((4, 8, 8, 2, 6, 6), 3)
    x[:, 2] = 1.5
    weights.expand[3] = 0
    weights.depthwise[5] = 0
    assert_infers(x, weights, norms, stride=1, activation="hardswish", residual=True)


@torch.no_grad()
@pytest.mark.parametrize("bits", [0x7FC0, 0x7FFF, -1, 0x7F81], ids=hex)
def test_every_nan_stays_one(bits: int) -> None:
    x, weights, norms = rounded((2, 7, 7, 2, 6, 6), 3)
    x.view(torch.int16)[0, 0, 0, 0] = bits
    out = linear_bottleneck(
        x, weights, norms, stride=1, activation="relu6", residual=True, training=False
    )
    assert out[0, 0, 0, 0].isnan()
    assert not out[1].isnan().any()


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
        exact, wide(weights), tuple(map(wide, norms)), training=False, **options
    ).sum().backward()
    assert image.grad is not None
    assert_close(image.grad.double(), exact.grad, rtol=0.1, atol=0.1)


def test_opcheck() -> None:
    x, weights, norms = rounded((2, 8, 8, 2, 6, 6), 3)
    x = x.contiguous(memory_format=torch.channels_last)
    running = [value for norm in norms for value in norm[2:]]
    inference = (x, *weights, [None] * 6, running, 1, "silu", True)
    torch.library.opcheck(torch.ops.stnas.linear_bottleneck_inference.default, inference)


@pytest.mark.parametrize(
    ("weight", "training", "error", "message"),
    [
        (torch.bfloat16, True, TypeError, "float32 or float64 in training, got bfloat16"),
        (torch.float64, False, TypeError, "or be bfloat16 beside float32, got torch.bfloat16"),
    ],
)
def test_errors(weight: torch.dtype, training: bool, error: type[Exception], message: str) -> None:
    x, weights, norms = rounded((2, 8, 8, 2, 6, 6), 3)
    weights = BottleneckWeights(*(w.to(weight) for w in weights))
    with pytest.raises(error, match=message):
        linear_bottleneck(
            x, weights, norms, stride=1, activation="relu6", residual=True, training=training
        )


def test_a_weight_of_another_dtype_is_an_error() -> None:
    x, weights, norms = rounded((2, 8, 8, 2, 6, 6), 3)
    weights = weights._replace(project=weights.project.double())
    with pytest.raises(ValueError, match=r"project must .* float32 beside a bfloat16 x"):
        assert_infers(x, weights, norms, stride=1, activation="relu6", residual=True)


@pytest.mark.skipif("STNAS_ISA" in os.environ, reason="an outer run has chosen the set")
@pytest.mark.parametrize("isa", ["generic", "avx2", "avx512", "avx512bf16"])
def test_every_instruction_set_passes_these_tests(isa: str) -> None:
    if isa == torch.ops.stnas.isa():
        return
    code = f"import sys, pytest; sys.exit(pytest.main(['-q', '-x', {__file__!r}]))"
    environment = os.environ | {"STNAS_ISA": isa, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    if f"got '{isa}'" in result.stdout + result.stderr:
        pytest.skip(f"this machine has no {isa}")
    assert result.returncode == 0, result.stdout[-2000:]
