"""Merged kernels against their twin: values, gradients, registrations, errors."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numerics import error
from torch import Tensor
from torch.testing import assert_close

from stnas.ops import merged_kernels
from stnas.ops.mixture import reference

Kernels = list[list[Tensor]]
BOUND = {torch.float32: 1e-6, torch.float64: 1e-14}


def made(
    edges: int, channels: int, depth: int, sizes: tuple[int, ...], *, dtype: torch.dtype, seed: int
) -> tuple[Kernels, Tensor]:
    """Draw the kernels of edges and the shares of their members."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    kernels = [[draw(channels, depth, size, size) for size in sizes] for _ in range(edges)]
    return kernels, draw(edges, len(sizes)).softmax(1)


def outcome(form: Any, kernels: Kernels, shares: Tensor, **options: Any) -> list[Tensor]:
    """Return merged kernels, and the gradients of shares and kernels."""
    shares = shares.detach().clone().requires_grad_()
    kernels = [[one.detach().clone().requires_grad_() for one in own] for own in kernels]
    out = form(kernels, shares, **options)
    grad = torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view_as(out).sin().to(out.dtype)
    leaves = [shares, *(one for own in kernels for one in own)]
    return [out.detach(), *torch.autograd.grad(out, leaves, grad)]


@settings(max_examples=40, deadline=None)
@given(
    edges=st.integers(1, 4),
    channels=st.integers(1, 9),
    depth=st.integers(1, 20),
    sizes=st.lists(st.sampled_from([1, 3, 5]), min_size=1, max_size=3),
    wider=st.sampled_from([0, 2]),
    normalise=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 1000),
)
def test_merged_kernels_equal_the_twins(
    edges: int, channels: int, depth: int, sizes: list[int], wider: int, normalise: bool,
    dtype: torch.dtype, seed: int,
) -> None:  # fmt: skip
    case = made(edges, channels, depth, tuple(sizes), dtype=dtype, seed=seed)
    options = {"size": max(sizes) + wider, "normalise": normalise}
    wide = [[one.double() for one in own] for own in case[0]], case[1].double()
    expected = outcome(reference.merged_kernels, *wide, **options)
    for own, twin in zip(outcome(merged_kernels, *case, **options), expected, strict=True):
        assert error(own, twin) <= 10 * BOUND[dtype]


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("form", [merged_kernels, reference.merged_kernels])
def test_gradcheck(form: Any, normalise: bool) -> None:
    kernels, shares = made(2, 3, 2, (1, 3), dtype=torch.float64, seed=0)

    def call(shares: Tensor, *flat: Tensor) -> Tensor:
        return form([flat[:2], flat[2:]], shares, size=3, normalise=normalise)

    leaves = [shares, *(one for own in kernels for one in own)]
    assert torch.autograd.gradcheck(call, [own.requires_grad_() for own in leaves])


def test_a_channel_of_zeros_stays_one_and_has_a_finite_gradient() -> None:
    kernels, shares = made(1, 3, 2, (1, 3), dtype=torch.float64, seed=0)
    kernels[0][1][1] = 0
    found, twin = (
        outcome(form, kernels, shares, size=3, normalise=True)
        for form in (merged_kernels, reference.merged_kernels)
    )
    assert_close(found, twin)
    assert all(own.isfinite().all() for own in found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_opcheck(dtype: torch.dtype) -> None:
    kernels, shares = made(2, 4, 3, (1, 3), dtype=dtype, seed=0)
    flat = [one for own in kernels for one in own]
    operators = torch.ops.stnas
    torch.library.opcheck(operators.merge_kernels.default, (flat, shares, 3, True))
    grad = torch.ones(8, 3, 3, 3, dtype=dtype)
    torch.library.opcheck(operators.merge_kernels_backward.default, (grad, flat, shares, 3, True))


def test_torch_computes_what_has_no_kernels() -> None:
    kernels, shares = made(2, 4, 3, (1, 3), dtype=torch.bfloat16, seed=0)
    options = {"size": 3, "normalise": True}
    found = merged_kernels(kernels, shares, **options)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, reference.merged_kernels(kernels, shares, **options))


def test_channels_last_kernels_and_their_gradients() -> None:
    kernels, shares = made(1, 4, 3, (3,), dtype=torch.float64, seed=0)
    laid = [[one.contiguous(memory_format=torch.channels_last) for one in own] for own in kernels]
    options = {"size": 3, "normalise": True}
    for found, other in zip(
        outcome(merged_kernels, laid, shares, **options),
        outcome(merged_kernels, kernels, shares, **options),
        strict=True,
    ):
        assert torch.equal(found, other)


def test_a_second_derivative_is_refused() -> None:
    kernels, shares = made(1, 4, 3, (1, 3), dtype=torch.float64, seed=0)
    shares.requires_grad_()
    out = merged_kernels(kernels, shares, size=3, normalise=True)
    (first,) = torch.autograd.grad(out.square().sum(), shares, create_graph=True)
    with pytest.raises(RuntimeError, match="must not be differentiated twice"):
        first.sum().backward()


@pytest.mark.parametrize(
    ("kernels", "size", "message"),
    [
        ([[torch.ones(2, 2, 3, 3)]], 3, r"kernels must be \[2, 1\], edges and members.*got \[1\]"),
        ([[torch.ones(2, 2, 3, 3)]] * 2, 1, "kernels must have an odd size of 1 at most, got 3"),
        ([[torch.ones(2, 2, 2, 2)]] * 2, 3, "kernels must have an odd size of 3 at most, got 2"),
        ([[torch.ones(2, 2, 3, 3)]] * 2, 4, "size must be odd, got 4"),
        (
            [[torch.ones(2, 2, 3, 3)], [torch.ones(3, 2, 3, 3)]],
            3,
            r"kernels must have shape \[2, 2, 3, 3\], got \[3, 2, 3, 3\]",
        ),
    ],
)
def test_errors_name_argument_rule_and_value(kernels: Kernels, size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        merged_kernels(kernels, torch.ones(2, 1), size=size, normalise=True)
