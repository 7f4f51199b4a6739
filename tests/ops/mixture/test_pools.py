"""Both pools of a node against the twin: values, gradients, registrations, errors."""

import pytest
import torch
from instruction_sets import check_tests, with_every_instruction_set
from numerics import error
from torch import Tensor
from torch.testing import assert_close

from stnas.ops.mixture import reference
from stnas.ops.mixture.pools import pooled_norms

SIZES = [
    (2, 8, 9, 9), (3, 16, 6, 7), (70, 4, 4, 4), (1, 24, 32, 31), (2, 1, 1, 2), (9, 35, 1, 1),
    (3, 6, 2, 2), (1, 2, 57, 58),
]  # fmt: skip


def drawn(size: tuple[int, ...]) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(size, generator=generator, dtype=torch.float64)


def outcome(form, x: Tensor, stride: int, dtype: torch.dtype) -> list[Tensor]:
    x = x.to(dtype, copy=True).requires_grad_()
    found = form(x, stride)
    generator = torch.Generator().manual_seed(1)
    grads = [torch.randn(own.shape, generator=generator).to(dtype) for own in found]
    (gradient,) = torch.autograd.grad(found, x, grads)
    return [*(own.detach() for own in found), gradient]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pools_equal_the_twin(size: tuple[int, ...], stride: int, dtype: torch.dtype) -> None:
    if size[0] * -(-size[2] // stride) * -(-size[3] // stride) < 2:
        return
    x = drawn(size).float().double()
    ours = outcome(pooled_norms, x, stride, dtype)
    twin = outcome(reference.pooled_norms, x, stride, torch.float64)
    for own, wanted in zip(ours, twin, strict=True):
        assert error(own, wanted) < (1e-12 if dtype == torch.float64 else 1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_gradcheck(stride: int) -> None:
    x = drawn((2, 3, 5, 4)).requires_grad_()
    assert torch.autograd.gradcheck(lambda own: pooled_norms(own, stride), x, atol=1e-6)


def test_the_first_of_equal_values_has_the_gradient() -> None:
    x = torch.zeros(2, 8, 5, 5, dtype=torch.float64)
    x[:, :, 2] = 1
    ours, twin = (outcome(f, x, 1, torch.float64) for f in (pooled_norms, reference.pooled_norms))
    assert_close(ours, twin)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_no_number_reaches_the_channel(value: float) -> None:
    x = drawn((2, 8, 6, 6))
    x[1, 3, 2, 2] = value
    for own, wanted in zip(pooled_norms(x, 1), reference.pooled_norms(x, 1), strict=True):
        assert_close(own, wanted, equal_nan=True)


def test_large_means_do_not_cancel() -> None:
    x = drawn((4, 8, 12, 12)) + 300
    twin = reference.pooled_norms(x.float().double(), 1)
    for own, wanted in zip(pooled_norms(x.float(), 1), twin, strict=True):
        assert error(own, wanted) < 1e-3


def test_threads_and_strides_do_not_matter() -> None:
    x, threads, found = drawn((41, 24, 9, 8)), torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(outcome(pooled_norms, x, 1, torch.float32))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, found[0], strict=True))
    strided = x[::2, ::3, ::2]
    pair = [outcome(f, strided, 2, torch.float64) for f in (pooled_norms, reference.pooled_norms)]
    assert_close(*pair)


def test_one_result_may_be_left_out() -> None:
    found = []
    for form in (pooled_norms, reference.pooled_norms):
        x = drawn((2, 4, 5, 5)).requires_grad_()
        found.append(torch.autograd.grad(form(x, 1)[0].pow(3).sum(), x)[0])
    assert_close(*found)


def test_opcheck() -> None:
    x = drawn((2, 8, 6, 5)).float().contiguous(memory_format=torch.channels_last)
    operators = torch.ops.stnas
    torch.library.opcheck(operators.pooled_norms.default, (x, 2))
    found = operators.pooled_norms(x, 2)
    grads = [torch.ones_like(own) for own in found[:2]]
    backward = (*grads, x, *found, 2)
    torch.library.opcheck(operators.pooled_norms_backward.default, backward)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_torch_computes_what_has_no_kernels(dtype: torch.dtype) -> None:
    x = drawn((2, 8, 6, 6)).to(dtype)
    assert_close(pooled_norms(x, 1), reference.pooled_norms(x, 1))


@pytest.mark.parametrize(
    ("size", "stride", "message"),
    [
        ((2, 8, 6), 1, "x must have 4 dimensions"),
        ((2, 8, 6, 6), 3, "stride must be 1 or 2, got 3"),
        ((1, 8, 2, 2), 2, "more than 1 value per channel"),
    ],
)
def test_errors_name_argument_rule_and_value(
    size: tuple[int, ...], stride: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        pooled_norms(torch.zeros(size), stride)


@with_every_instruction_set
def test_every_instruction_set_passes_these_tests(isa: str) -> None:
    check_tests(isa, __file__, names="equal_the_twin and float32 or threads")
