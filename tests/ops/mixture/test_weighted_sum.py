"""Weighted sums of images against the twin: values, gradients, registrations, errors."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from stnas.ops.mixture import reference
from stnas.ops.mixture.weighted_sum import weighted_sum

SIZES = [(2, 8, 6, 5), (1, 1, 1, 1), (3, 16, 32, 33), (4, 3, 7, 7)]


def drawn(size: tuple[int, ...], dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor | None]]:
    """Draw four values, the second and last of which have weights."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    return [draw(*size) for _ in range(4)], [None, draw(), None, draw()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("moved", ["values", "weights", "both"])
def test_sum_and_gradients_equal_the_twins(
    size: tuple[int, ...], moved: str, dtype: torch.dtype
) -> None:
    found = []
    for form in (weighted_sum, reference.weighted_sum):
        values, weights = drawn(size, dtype)
        given = [weight for weight in weights if weight is not None]
        leaves = {"values": values, "weights": given, "both": [*values, *given]}[moved]
        leaves = [leaf.requires_grad_() for leaf in leaves]
        out = form(values, weights)
        found.append((out.detach(), *torch.autograd.grad(out.pow(2).sum(), leaves)))
    tight = {"rtol": 1e-4, "atol": 1e-3} if dtype == torch.float32 else {}
    assert_close(*found, **tight)


def test_gradcheck() -> None:
    values, weights = drawn((2, 3, 4, 3), torch.float64)
    first, second = (weight for weight in weights if weight is not None)
    leaves = [value.requires_grad_() for value in (*values, first, second)]
    assert torch.autograd.gradcheck(
        lambda *own: weighted_sum(own[:4], [None, own[4], None, own[5]]), leaves
    )


def test_a_value_may_come_twice() -> None:
    found = []
    for form in (weighted_sum, reference.weighted_sum):
        x = torch.linspace(-1, 1, 96).view(2, 3, 4, 4).requires_grad_()
        out = form([x, x, x], [None, torch.tensor(2.0), torch.tensor(-0.5)])
        found.append(torch.autograd.grad(out.pow(2).sum(), x)[0])
    assert_close(*found)


def test_threads_do_not_matter_and_strides_do_not() -> None:
    values, weights = drawn((3, 16, 32, 33), torch.float32)
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            own = [
                None if weight is None else weight.clone().requires_grad_() for weight in weights
            ]
            out = weighted_sum(values, own)
            given = [weight for weight in own if weight is not None]
            found.append((out.detach(), *torch.autograd.grad(out.square().sum(), given)))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, found[0], strict=True))
    strided = [value[:, ::2] for value in values]
    assert_close(weighted_sum(strided, weights), reference.weighted_sum(strided, weights))


def test_opcheck() -> None:
    values, weights = drawn((2, 8, 6, 5), torch.float32)
    values = [value.contiguous(memory_format=torch.channels_last) for value in values]
    operators = torch.ops.stnas
    torch.library.opcheck(operators.weighted_sum.default, (values, weights))
    for wants in (True, False):
        backward = (torch.ones_like(values[0]), values, weights, wants)
        torch.library.opcheck(operators.weighted_sum_backward.default, backward)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)  # the latter is empty
def test_torch_computes_what_has_no_kernels(dtype: torch.dtype) -> None:
    values, weights = drawn((0 if dtype == torch.float32 else 2, 3, 4, 4), dtype)
    assert_close(weighted_sum(values, weights), reference.weighted_sum(values, weights))


@pytest.mark.parametrize(
    ("values", "weights", "message"),
    [
        ([], [], "values must be one or more"),
        ([torch.ones(1, 2, 3, 3)], [], "as many as weights, got 1 and 0"),
        (
            [torch.ones(1, 2, 3, 3), torch.ones(2, 2, 3, 3)],
            [None, None],
            "values must have size 1 in dimension 0, got 2",
        ),
        ([torch.ones(1, 2, 3, 3)], [torch.ones(2)], "weights must have 1 value each, got 2"),
    ],
)
def test_errors_name_argument_rule_and_value(
    values: list[Tensor], weights: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        weighted_sum(values, weights)
