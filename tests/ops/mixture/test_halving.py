"""The block between two stages against its twin: values, gradients, registrations, errors."""

from typing import Any

import pytest
import torch
from instruction_sets import check_tests, with_every_instruction_set
from numerics import TOLERANCE, error
from torch import Tensor
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from stnas.ops import halving_block
from stnas.ops.mixture import reference

LAST = torch.channels_last

# images, channels, of the result, height, width: both panels, odd sizes, one row, one image
SIZES = [
    (2, 8, 16, 6, 8),
    (3, 16, 32, 5, 7),
    (1, 5, 10, 9, 4),
    (4, 3, 4, 1, 6),
    (2, 24, 33, 2, 3),
    (9, 1, 1, 2, 1),
    (2, 8, 8, 33, 32),
]


def made(size: tuple[int, ...], *, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Draw images and the kernels of a block."""
    images, width, out, height, across = size
    generator = torch.Generator().manual_seed(0)
    shapes = [
        (images, width, height, across), (out, width, 3, 3), (out, out, 3, 3), (out, width, 1, 1),
    ]  # fmt: skip
    drawn = [torch.randn(own, generator=generator, dtype=torch.float64) for own in shapes]
    return [drawn[0].to(dtype), *(own.div(own[0].numel() ** 0.5).to(dtype) for own in drawn[1:])]


def outcome(form: Any, leaves: list[Tensor]) -> list[Tensor]:
    """Return the result of a call on copies, and its gradients."""
    own = [leaf.detach().clone().requires_grad_() for leaf in leaves]
    out = form(*own)
    grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return [out.detach(), *torch.autograd.grad(out, own, grad.to(out.dtype))]


def assert_same(leaves: list[Tensor], *, slack: float = 1.0) -> None:
    """Compare a block with the twin in float64."""
    expected = outcome(reference.halving_block, [leaf.double() for leaf in leaves])
    for own, twin in zip(outcome(halving_block, leaves), expected, strict=True):
        assert error(own, twin) <= slack * TOLERANCE["block"][leaves[0].dtype]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_block_equals_twin(size: tuple[int, ...], dtype: torch.dtype) -> None:
    assert_same(made(size, dtype=dtype))


def test_gradcheck() -> None:
    leaves = [leaf.requires_grad_() for leaf in made((2, 2, 3, 5, 4))]
    assert torch.autograd.gradcheck(halving_block, leaves, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_opcheck(dtype: torch.dtype) -> None:
    x, *kernels = made(SIZES[0], dtype=dtype)
    x, operators = x.contiguous(memory_format=LAST), torch.ops.stnas
    torch.library.opcheck(operators.halving_block.default, (x, *kernels))
    out, *kept = operators.halving_block(x, *kernels)
    for wanted in (False, True):
        backward = (torch.ones_like(out), x, *kernels, *kept, wanted)
        torch.library.opcheck(operators.halving_block_backward.default, backward)


def test_result_does_not_depend_on_threads() -> None:
    leaves, threads = made((21, 16, 32, 17, 16), dtype=torch.float32), torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(outcome(halving_block, leaves))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        assert all(map(torch.equal, other, found[0]))


def test_large_means_do_not_cancel() -> None:
    x, *kernels = made((4, 8, 16, 12, 12), dtype=torch.float32)
    assert_same([x + 100, *kernels], slack=50)


def test_nan_reaches_every_channel() -> None:
    x, *kernels = made(SIZES[0])
    x[1, 2, 3, 3] = torch.nan
    assert halving_block(x, *kernels).isnan().all()


def test_strided_input_and_expanded_gradient() -> None:
    x, *kernels = made((4, 8, 16, 12, 13))
    part = x[::2, :, ::2, 1::3]
    assert_same([part, *kernels])
    found = []
    for form in (halving_block, reference.halving_block):
        own = part.clone().requires_grad_()
        form(own, *kernels).mean().backward()
        found.append(own.grad)
    assert_close(*found)


def test_kernels_alone_and_x_alone_have_gradients() -> None:
    leaves, wanted = made(SIZES[1]), outcome(halving_block, made(SIZES[1]))
    grad = torch.randn(
        wanted[0].shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    for place in range(4):
        own = [leaf.requires_grad_(i == place) for i, leaf in enumerate(made(SIZES[1]))]
        (alone,) = torch.autograd.grad(halving_block(*own), own[place], grad)
        assert torch.equal(alone, wanted[1 + place])
    assert torch.equal(halving_block(*leaves), wanted[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)  # the latter is empty
def test_torch_computes_what_has_no_kernels(dtype: torch.dtype) -> None:
    x, *kernels = made((0 if dtype == torch.float32 else 2, 8, 16, 4, 4), dtype=dtype)
    out = halving_block(x, *kernels)
    assert_close(out, reference.halving_block(x, *kernels))
    assert out.dtype == dtype


def test_torch_computes_many_channels() -> None:
    leaves = made((2, 33, 4, 4, 4), dtype=torch.float32)
    assert torch.equal(halving_block(*leaves), reference.halving_block(*leaves))


def test_autocast_is_torchs() -> None:
    leaves = made(SIZES[0], dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(halving_block(*leaves), reference.halving_block(*leaves))


def test_flops_equal_the_twins() -> None:
    counts = []
    for form in (halving_block, reference.halving_block):
        with FlopCounterMode(display=False) as counter:
            outcome(form, made(SIZES[0]))
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


def test_a_second_derivative_is_refused() -> None:
    x, *kernels = made(SIZES[0])
    own = x.requires_grad_()
    (first,) = torch.autograd.grad(halving_block(own, *kernels).sum(), own, create_graph=True)
    with pytest.raises(RuntimeError, match="must not be differentiated twice"):
        first.sum().backward()


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, torch.zeros(2, 8, 6), "x must have 4 dimensions"),
        (0, torch.zeros(1, 8, 2, 2), "more than 1 value per channel.*use a larger batch"),
        (1, torch.zeros(16, 4, 3, 3), r"first must have shape \[16, 8, 3, 3\]"),
        (1, torch.zeros(16, 8, 1, 1), r"first .*\[16, 8, 3, 3\], got \[16, 8, 1, 1\]"),
        (2, torch.zeros(16, 8, 3, 3), r"second must have shape \[16, 16, 3, 3\]"),
        (3, torch.zeros(16, 8, 3, 3), r"shortcut must have shape \[16, 8, 1, 1\]"),
    ],
)  # fmt: skip
def test_errors_name_argument_rule_and_value(place: int, value: Tensor, message: str) -> None:
    leaves = made((2, 8, 16, 6, 6), dtype=torch.float32)
    leaves[place] = value
    with pytest.raises(ValueError, match=message):
        halving_block(*leaves)


def test_the_operator_checks_what_it_is_given() -> None:
    x, *kernels = made((2, 8, 16, 6, 6), dtype=torch.float32)
    with pytest.raises(ValueError, match="x must be in channels_last order"):
        torch.ops.stnas.halving_block(x, *kernels)
    x = x.contiguous(memory_format=LAST)
    with pytest.raises(ValueError, match=r"kernels must .* have the dtype of x"):
        torch.ops.stnas.halving_block(x, *(own.double() for own in kernels))
    out, *kept = torch.ops.stnas.halving_block(x, *kernels)
    with pytest.raises(ValueError, match="grad must have size 2 in dimension 0, got 1"):
        torch.ops.stnas.halving_block_backward(out[:1], x, *kernels, *kept, True)


@with_every_instruction_set
def test_every_instruction_set_passes_these_tests(isa: str) -> None:
    names = "equals_twin and float32 or threads or cancel"
    check_tests(isa, __file__, names=names)
