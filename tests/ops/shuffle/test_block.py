"""The fused shuffle block against its twin: values, gradients, registrations, errors."""

from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from instruction_sets import check_tests, with_every_instruction_set
from numerics import TOLERANCE, error, shuffle
from torch import Tensor
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from stnas.ops.layers.reference import BatchNorm
from stnas.ops.shuffle import reference
from stnas.ops.shuffle.block import shuffle_block
from stnas.ops.shuffle.reference import ShuffleWeights

Norms = list[BatchNorm]

# images, in, out, stride, height, width: groups, strips, padded channels, one pixel, odd sizes
SIZES = [
    (3, 8, 8, 1, 9, 9),
    (2, 24, 24, 1, 14, 14),
    (1, 10, 10, 1, 57, 56),
    (70, 24, 24, 1, 4, 4),
    (9, 34, 34, 1, 1, 1),
    (2, 128, 128, 1, 3, 3),
    (3, 8, 24, 2, 9, 8),
    (5, 16, 40, 2, 7, 7),
    (2, 6, 12, 2, 57, 58),
    (8, 8, 20, 2, 1, 2),
    (4, 4, 8, 2, 1, 1),
]
KERNELS = [3, 5, 7, 0]
"""0: the three depthwise convolutions of ``xception``."""


def outcome(
    form: Any,
    x: Tensor,
    weights: ShuffleWeights,
    norms: Norms,
    dtype: torch.dtype,
    **options: Any,
) -> dict[str, Tensor]:
    """Return output, gradients and running statistics of one call on copies in ``dtype``."""
    training = options["training"]
    x = x.to(dtype, copy=True).requires_grad_(training)
    weights = ShuffleWeights(
        *(tuple(w.to(dtype, copy=True).requires_grad_(training) for w in head) for head in weights)
    )
    norms = [BatchNorm(*(v if v is None else v.to(dtype, copy=True) for v in n)) for n in norms]
    affine = [v.requires_grad_(training) for n in norms for v in n[:2] if v is not None]
    with torch.set_grad_enabled(training):
        out = form(x, weights, norms, **options)
    result = {"out": out.detach()}
    if training:
        grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
        leaves = [x, *weights.main, *weights.project, *affine]
        grads = torch.autograd.grad(out, leaves, grad)
        result |= {f"grad{i}": value for i, value in enumerate(grads)}
    running = [v for n in norms for v in n[2:] if v is not None]
    return result | {f"running{i}": v for i, v in enumerate(running)}


def assert_same(
    x: Tensor,
    weights: ShuffleWeights,
    norms: Norms,
    *,
    dtype: torch.dtype,
    slack: float = 1.0,
    **options: Any,
) -> None:
    """Compare the fused block in ``dtype`` with the twin in float64.

    slack: times the tolerance, where shapes may be such that sums cancel.
    """
    ours = outcome(shuffle_block, x, weights, norms, dtype, **options)
    twin = outcome(reference.shuffle_block, x, weights, norms, torch.float64, **options)
    bound = TOLERANCE["block" if options["training"] else "inference"][dtype]
    rounding = torch.finfo(dtype).eps * x.numel()
    for name, expected in twin.items():
        # A BN cancels the bias of the depthwise one before it, whose gradient is rounding alone.
        cancelled = ours[name].abs().max() <= rounding and expected.abs().max() < 1e-9
        assert cancelled or error(ours[name], expected) <= slack * bound, name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_block_equals_twin(size: tuple[int, ...], dtype: torch.dtype) -> None:
    images, _, _, stride, height, width = size
    for kernel, training in product(KERNELS, (True, False)):
        if training and images * -(-height // stride) * -(-width // stride) < 2:
            continue
        x, weights, norms = shuffle(size, kernel, affine=kernel in (0, 5))
        assert_same(x, weights, norms, dtype=dtype, stride=stride, training=training)


@settings(max_examples=60, deadline=None)
@given(
    images=st.integers(1, 6),
    channels=st.integers(1, 35),
    more=st.integers(1, 20),
    mid=st.integers(1, 35),
    stride=st.sampled_from([1, 2]),
    sides=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    kernel=st.sampled_from(KERNELS),
    affine=st.booleans(),
    training=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_shape_equals_twin(
    images: int, channels: int, more: int, mid: int, stride: int, sides: tuple[int, int],
    kernel: int, affine: bool, training: bool, seed: int,
) -> None:  # fmt: skip
    if training and images * -(-sides[0] // stride) * -(-sides[1] // stride) < 8:
        return
    size = (images, channels * (3 - stride), channels * (3 - stride) + more, stride, *sides)
    x, weights, norms = shuffle(size, kernel, affine=affine, mid=mid, seed=seed)
    options = {"stride": stride, "training": training}
    assert_same(x, weights, norms, dtype=torch.float64, slack=100, **options)


@pytest.mark.parametrize("size", [(2, 6, 6, 1, 5, 4), (2, 4, 10, 2, 5, 6)], ids=str)
@pytest.mark.parametrize("kernel", [3, 0])
@pytest.mark.parametrize("form", [shuffle_block, reference.shuffle_block])
def test_gradcheck(form: Any, size: tuple[int, ...], kernel: int) -> None:
    x, weights, norms = shuffle(size, kernel, affine=True)
    count = len(weights.main) + len(weights.project)
    leaves = [x, *weights.main, *weights.project, *(v for n in norms for v in n[:2])]

    def call(*values: Tensor) -> Tensor:
        flat, affine = values[1 : 1 + count], values[1 + count :]
        heads = ShuffleWeights(flat[: len(weights.main)], flat[len(weights.main) :])
        layers = [BatchNorm(*affine[2 * i : 2 * i + 2]) for i in range(count)]
        return form(values[0], heads, layers, stride=size[3], training=True)

    assert torch.autograd.gradcheck(call, [leaf.requires_grad_() for leaf in leaves], atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", [(2, 8, 8, 1, 6, 6), (2, 4, 12, 2, 6, 5)], ids=str)
def test_opcheck(size: tuple[int, ...], dtype: torch.dtype) -> None:
    x, heads, norms = shuffle(size, 3, affine=False)
    x = x.to(dtype).contiguous(memory_format=torch.channels_last)
    weights = [weight.to(dtype) for head in heads for weight in head]
    running = [value.to(dtype) for norm in norms for value in norm[2:]]
    main, affine = len(heads.main), [None] * len(running)
    operators = torch.ops.stnas
    for keep in (False, True):
        forward = (x, weights, main, affine, size[3], keep)
        torch.library.opcheck(operators.shuffle_block_train.default, forward)
    out, values, statistics = operators.shuffle_block_train(*forward)
    backward = (torch.ones_like(out), x, weights, main, affine, values, statistics, size[3])
    torch.library.opcheck(operators.shuffle_block_backward.default, backward)
    inference = (x, weights, main, affine, running, size[3])
    torch.library.opcheck(operators.shuffle_block_inference.default, inference)


def test_result_does_not_depend_on_threads() -> None:
    threads = torch.get_num_threads()
    try:
        for size in [(40, 16, 16, 1, 16, 16), (3, 16, 40, 2, 50, 50)]:
            x, weights, norms = shuffle(size, 5, affine=True)
            for training in (True, False):
                results = []
                for count in (1, 2, 3):
                    torch.set_num_threads(count)
                    results.append(
                        outcome(
                            shuffle_block, x, weights, norms, torch.float32,
                            stride=size[3], training=training,
                        )
                    )  # fmt: skip
                for other in results[1:]:
                    assert all(torch.equal(other[name], results[0][name]) for name in other)
    finally:
        torch.set_num_threads(threads)


def test_large_means_do_not_cancel() -> None:
    x, weights, norms = shuffle((4, 8, 20, 2, 12, 12), 3, affine=False)
    assert_same(x + 300, weights, norms, dtype=torch.float32, stride=2, training=True)


def test_constant_channels() -> None:
    x, weights, norms = shuffle((4, 8, 8, 1, 6, 6), 3, affine=False)
    x[:, 3] = 1.5
    weights.main[0][1] = 0
    weights.main[1][2] = 0
    assert_same(x, weights, norms, dtype=torch.float64, stride=1, training=True)


def test_nan_reaches_the_output() -> None:
    x, weights, norms = shuffle((2, 8, 8, 1, 6, 6), 3, affine=False)
    clean = x.clone()
    x[0, 1, 0, 0] = torch.nan
    out = shuffle_block(x, weights, norms, stride=1, training=False)
    twin = reference.shuffle_block(x, weights, norms, stride=1, training=False)
    assert torch.equal(out.isnan(), twin.isnan())
    assert torch.equal(out[1], shuffle_block(clean, weights, norms, stride=1, training=False)[1])
    # Last, since running statistics are not a number behind it.
    out = shuffle_block(x, weights, norms, stride=1, training=True)
    assert out[:, 4:].isnan().all()
    assert torch.equal(out[:, :4], x[:, 0::2])


def test_half_of_the_channels_pass_by() -> None:
    x, weights, norms = shuffle((2, 10, 10, 1, 7, 5), 7, affine=True)
    for training in (True, False):
        out = shuffle_block(x, weights, norms, stride=1, training=training)
        assert torch.equal(out[:, :5], x[:, 0::2])
        assert out.is_contiguous(memory_format=torch.channels_last)


def test_strided_input() -> None:
    for size in [(4, 8, 8, 1, 12, 14), (4, 8, 12, 2, 12, 14)]:
        x, weights, norms = shuffle(size, 3, affine=False)
        for training in (True, False):
            assert_same(
                x[::2, :, ::2, 1::3], weights, norms,
                dtype=torch.float64, stride=size[3], training=training,
            )  # fmt: skip


def test_expanded_gradient() -> None:
    x, weights, norms = shuffle((2, 8, 8, 1, 6, 6), 3, affine=False)
    found = []
    for form in (shuffle_block, reference.shuffle_block):
        image = x.clone().requires_grad_()
        form(image, weights, norms, stride=1, training=True).mean().backward()
        found.append(image.grad)
    assert_close(found[0], found[1])


def test_without_running_statistics() -> None:
    x, weights, norms = shuffle((2, 8, 8, 1, 6, 6), 3, affine=False)
    bare = [BatchNorm() for _ in norms]
    assert_same(x, weights, bare, dtype=torch.float64, stride=1, training=True)
    with pytest.raises(ValueError, match="running_mean must be a tensor"):
        shuffle_block(x, weights, bare, stride=1, training=False)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)  # the latter is empty
def test_torch_computes_what_has_no_kernels(dtype: torch.dtype) -> None:
    x, weights, norms = shuffle(
        (0 if dtype == torch.float32 else 2, 8, 8, 1, 6, 6), 3, affine=False
    )
    x = x.to(dtype)
    norms = [BatchNorm(*(v if v is None else v.to(dtype) for v in n)) for n in norms]
    weights = ShuffleWeights(*(tuple(w.to(dtype) for w in head) for head in weights))
    out = shuffle_block(x, weights, norms, stride=1, training=False)
    assert_close(out, reference.shuffle_block(x, weights, norms, stride=1, training=False))
    assert out.dtype == dtype


def test_inference_has_the_twins_gradient() -> None:
    x, weights, norms = shuffle((2, 8, 8, 1, 6, 6), 3, affine=False)
    gradients = []
    for form in (shuffle_block, reference.shuffle_block):
        image = x.clone().requires_grad_()
        form(image, weights, norms, stride=1, training=False).square().sum().backward()
        gradients.append(image.grad)
    assert_close(gradients[0], gradients[1])


def test_flops_equal_the_twins() -> None:
    for size, kernel in product([(2, 8, 8, 1, 9, 7), (2, 8, 12, 2, 9, 7)], KERNELS):
        x, weights, norms = shuffle(size, kernel, affine=False)
        for training in (True, False):
            counts = []
            for form in (shuffle_block, reference.shuffle_block):
                with FlopCounterMode(display=False) as counter:
                    form(x, weights, norms, stride=size[3], training=training)
                counts.append(counter.get_total_flops())
            assert counts[0] == counts[1] > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stride": 3}, "stride must be 1, or 2 where there are two heads, got 3"),
        ({"stride": 2}, "stride must be 1, or 2 where there are two heads, got 2"),
        ({"x": torch.zeros(2, 9, 6, 6)}, "x must have an even number of channels .* got 9"),
        ({"x": torch.zeros(2, 8, 6)}, "x must have 4 dimensions"),
        ({"x": torch.zeros(2, 10, 6, 6)}, r"weights must have shape \[4, 5, 1, 1\]"),
        ({"x": torch.zeros(1, 8, 1, 1)}, "more than 1 value per channel"),
        ({"weight0": torch.zeros(4, 4, 2, 2)}, "weights must have kernel 1, 3, 5 or 7, got 2"),
        ({"weight0": torch.zeros(4, 1, 3, 3)}, "1x1 and depthwise convolutions in turn"),
        ({"weight1": torch.zeros(4, 1, 3, 5)}, r"weights must have shape \[4, 1, 5, 5\]"),
        ({"weight1": torch.zeros(4, 3, 3)}, r"weights must have shape \[C_out, C_in, K, K\]"),
        ({"weight2": torch.zeros(4, 1, 3, 3)}, "1x1 and depthwise convolutions in turn"),
        ({"norm": BatchNorm(torch.ones(5))}, r"affine must have shape \[4\]"),
        (
            {"norm": BatchNorm(None, None, torch.ones(5), torch.ones(5))},
            r"running_mean must have shape \[4\]",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_errors_name_argument_rule_and_value(changes: dict[str, Any], message: str) -> None:
    x, heads, norms = shuffle((2, 8, 8, 1, 6, 6), 3, affine=False)
    main = [weight.float() for weight in heads.main]
    norms = [BatchNorm(*(v if v is None else v.float() for v in n)) for n in norms]
    for place in range(3):
        main[place] = changes.get(f"weight{place}", main[place])
    norms[0] = changes.get("norm", norms[0])
    with pytest.raises(ValueError, match=message):
        shuffle_block(
            changes.get("x", x.float()), ShuffleWeights(tuple(main)), norms,
            stride=changes.get("stride", 1), training=True,
        )  # fmt: skip


def test_an_incomplete_head_is_an_error() -> None:
    x, heads, norms = shuffle((2, 8, 8, 1, 6, 6), 3, affine=False)
    with pytest.raises(ValueError, match="norms must be 2, one a convolution, got 3"):
        shuffle_block(x, ShuffleWeights(heads.main[:2]), norms, stride=1, training=True)
    with pytest.raises(ValueError, match="weights of a head must end with a 1x1 convolution"):
        shuffle_block(x, ShuffleWeights(heads.main[:2]), norms[:2], stride=1, training=True)


@with_every_instruction_set
def test_every_instruction_set_passes_these_tests(isa: str) -> None:
    check_tests(isa, __file__, names="equals_twin and float32 or threads or cancel")
