"""Kernels mixed to one against the twin: values, gradients, registrations, errors."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from stnas.ops.separable import reference
from stnas.ops.separable.mixed_kernel import mixed_kernel


def drawn(channels: int, sizes: tuple[int, ...], dtype: torch.dtype) -> list[Tensor]:
    """Draw kernels, their shares and a part."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    return [*(draw(channels, 1, k, k) for k in sizes), *(draw() for _ in sizes), draw()]


def call(form: Any, values: list[Tensor], count: int, **options: Any) -> Tensor:
    return form(values[:count], values[count : 2 * count], *values[2 * count :], **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("sizes", [(3, 5), (5, 3), (1, 3, 7), (3,)], ids=str)
@pytest.mark.parametrize("channels", [1, 8])
def test_kernel_and_gradients_equal_the_twins(
    channels: int, sizes: tuple[int, ...], normalise: bool, dtype: torch.dtype
) -> None:
    for parts in (0, 1):
        found = []
        for form in (mixed_kernel, reference.mixed_kernel):
            values = drawn(channels, sizes, dtype)[: 2 * len(sizes) + parts]
            values = [value.requires_grad_() for value in values]
            out = call(form, values, len(sizes), normalise=normalise)
            grads = torch.autograd.grad(out.pow(3).sum(), values)
            found.append((out.detach(), *grads))
        assert_close(*found)


@pytest.mark.parametrize("normalise", [True, False])
def test_gradcheck(normalise: bool) -> None:
    values = [v.requires_grad_() for v in drawn(3, (3, 5), torch.float64)]
    assert torch.autograd.gradcheck(
        lambda *own: call(mixed_kernel, list(own), 2, normalise=normalise), values, atol=1e-5
    )


def test_a_kernel_of_zeros_has_no_direction() -> None:
    values = drawn(2, (3, 5), torch.float64)
    values[0][0] = 0
    values = [value.requires_grad_() for value in values]
    out = call(mixed_kernel, values, 2, normalise=True)
    grads = torch.autograd.grad(out.sum(), values)
    assert all(grad.isfinite().all() for grad in grads)
    assert_close(out[0, 0], call(reference.mixed_kernel, values, 2, normalise=True)[0, 0])


def test_opcheck() -> None:
    values = drawn(4, (3, 5), torch.float32)
    kernels, shares, part = values[:2], values[2:4], values[4]
    operators = torch.ops.stnas
    torch.library.opcheck(operators.mixed_kernel.default, (kernels, shares, part, True))
    backward = (torch.ones(4, 1, 5, 5), kernels, shares, None, False)
    torch.library.opcheck(operators.mixed_kernel_backward.default, backward)


def test_torch_computes_what_has_no_kernels() -> None:
    values = drawn(4, (3, 5), torch.bfloat16)
    found = [
        call(form, values, 2, normalise=True) for form in (mixed_kernel, reference.mixed_kernel)
    ]
    assert_close(*found)


@pytest.mark.parametrize(
    ("kernels", "shares", "message"),
    [
        ([], [], "kernels must be one or more, got none"),
        ([torch.ones(2, 1, 3, 3)], [], "as many as shares, got 1 and 0"),
        ([torch.ones(2, 1, 4, 4)], [torch.ones(())], "with an odd K"),
        ([torch.ones(2, 1, 3, 3), torch.ones(3, 1, 3, 3)], [torch.ones(())] * 2,
         r"kernels must have shape \[2, 1, 3, 3\], got \[3, 1, 3, 3\]"),
        ([torch.ones(2, 1, 3, 3)], [torch.ones(2)], "shares must have 1 value, got 2"),
    ],
)  # fmt: skip
def test_errors_name_argument_rule_and_value(
    kernels: list[Tensor], shares: list[Tensor], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        mixed_kernel(kernels, shares, normalise=True)
