"""The dense convolution and the pool of stem and tail against PyTorch's own."""

from typing import Any

import pytest
import torch
from numerics import TOLERANCE, error
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from stnas.ops import convolution, pool

# images, C_in, C_out, kernel, stride, height, width: whole and broken vectors, images smaller than
# the kernel, patches of more than a vector, single pixels with and without a stride, many tiles
SIZES = [
    (2, 1, 8, 3, 2, 28, 28),
    (3, 3, 5, 3, 1, 7, 9),
    (1, 24, 64, 1, 1, 4, 4),
    (2, 5, 31, 5, 3, 11, 6),
    (4, 16, 16, 1, 2, 5, 5),
    (2, 3, 17, 7, 4, 3, 2),
    (130, 2, 3, 3, 1, 1, 1),
]


def draw(size: tuple[int, ...], dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Return images and weights that want gradients."""
    n, channels, out, kernel, _, height, width = size
    generator = torch.Generator().manual_seed(0)
    shapes = (n, channels, height, width), (out, channels, kernel, kernel)
    x, weight = (torch.randn(s, generator=generator, dtype=torch.float64).to(dtype) for s in shapes)
    return x.requires_grad_(), weight.requires_grad_()


def outcome(form: Any, leaves: list[Tensor], **options: Any) -> list[Tensor]:
    """Return the result and the gradients of one call."""
    out = form(*leaves, **options)
    direction = torch.linspace(-1, 2, out.numel(), dtype=torch.float64).to(out).view_as(out)
    return [out.detach(), *torch.autograd.grad(out, leaves, direction)]


def plain(x: Tensor, weight: Tensor, *, stride: int) -> Tensor:
    return functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_convolution_equals_pytorch(size: tuple[int, ...], dtype: torch.dtype) -> None:
    leaves = list(draw(size, dtype))
    ours = outcome(convolution, leaves, stride=size[4])
    expected = outcome(plain, [leaf.double() for leaf in leaves], stride=size[4])
    for own, other in zip(ours, expected, strict=True):
        assert error(own, other) <= TOLERANCE["convolution"][dtype]
    assert ours[0].is_contiguous(memory_format=torch.channels_last)


def test_convolution_of_other_layouts_and_of_constant_images() -> None:
    x, weight = draw(SIZES[1])
    strided = torch.stack([x, x], 4)[..., 0].detach()
    assert_close(convolution(strided, weight, stride=1), plain(x, weight, stride=1))
    images = x.detach()
    assert_close(convolution(images, weight.detach(), stride=2), plain(images, weight, stride=2))
    (alone,) = torch.autograd.grad(convolution(images, weight, stride=1).sum(), [weight])
    assert_close(alone, torch.autograd.grad(plain(images, weight, stride=1).sum(), [weight])[0])


@pytest.mark.parametrize("form", ["convolution", "pool"])
def test_bits_do_not_depend_on_threads(form: str) -> None:
    x, weight = draw((37, 3, 24, 3, 1, 19, 20), torch.float32)
    call = {"convolution": (convolution, [x, weight], {"stride": 1}), "pool": (pool, [x], {})}[form]
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(outcome(call[0], call[1], **call[2]))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, results[0], strict=True))


def test_convolution_gradcheck_and_opcheck() -> None:
    x, weight = (
        leaf.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
        for leaf in draw((2, 2, 3, 3, 2, 5, 4))
    )
    forward = torch.ops.stnas.convolution_forward.default
    assert torch.autograd.gradcheck(lambda *leaves: forward(*leaves, 2), (x, weight))
    torch.library.opcheck(forward, (x, weight, 2))
    grad = torch.ones_like(forward(x, weight, 2)).detach()
    for wants_x in (True, False):
        arguments = (grad, x.detach(), weight.detach(), 2, wants_x)
        torch.library.opcheck(torch.ops.stnas.convolution_backward.default, arguments)


def test_convolution_counts_its_flops() -> None:
    x, weight = draw(SIZES[1])
    totals = []
    for form in (convolution, plain):
        with FlopCounterMode(display=False) as counter:
            form(x, weight, stride=1).sum().backward()
        totals.append(counter.get_total_flops())
    assert totals[0] == totals[1] > 0


def test_pytorch_takes_over_where_there_are_no_kernels() -> None:
    x, weight = (leaf.detach() for leaf in draw(SIZES[1], torch.float32))
    assert convolution(x.bfloat16(), weight.bfloat16(), stride=1).dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert convolution(x, weight, stride=1).dtype == torch.bfloat16
    assert convolution(x[:0], weight, stride=1).shape == (0, 5, 7, 9)
    wide = torch.randn(80, 80, 1, 1)
    many = torch.randn(2, 80, 3, 3)
    assert torch.equal(convolution(many, wide, stride=1), functional.conv2d(many, wide))
    assert pool(x.bfloat16()).dtype == torch.bfloat16
    assert pool(x[:0]).shape == (0, 3)


@pytest.mark.parametrize(
    ("x", "weight", "stride", "message"),
    [
        ((2, 3, 4, 4), (5, 2, 3, 3), 1, r"\[C_out, 3, K, K\].* got \[5, 2, 3, 3\]"),
        ((2, 3, 4, 4), (5, 3, 3, 1), 1, r"K odd, got \[5, 3, 3, 1\]"),
        ((2, 3, 4, 4), (5, 3, 2, 2), 1, r"K odd, got \[5, 3, 2, 2\]"),
        ((2, 3, 4, 4), (0, 3, 3, 3), 1, r"C_out at least 1 .* got \[0, 3, 3, 3\]"),
        ((2, 3, 4, 4), (5, 3, 3, 3), 0, "stride must be 1 or more, got 0"),
    ],
)
def test_convolution_errors(x: Any, weight: Any, stride: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        convolution(torch.zeros(x), torch.zeros(weight), stride=stride)


def test_convolution_of_two_dtypes_is_refused() -> None:
    with pytest.raises(ValueError, match="weight must be on the CPU and have the dtype of x"):
        convolution(torch.zeros(1, 2, 3, 3), torch.zeros(4, 2, 1, 1).double(), stride=1)


@pytest.mark.parametrize(
    "size", [(3, 64, 4, 4), (2, 5, 1, 3), (1, 33, 7, 2), (40, 8, 9, 9)], ids=str
)
def test_pool_equals_mean(size: tuple[int, ...]) -> None:
    x = torch.randn(size, dtype=torch.float64, requires_grad=True)
    ours, expected = (outcome(f, [x]) for f in (pool, lambda x: x.mean((2, 3))))
    for own, other in zip(ours, expected, strict=True):
        assert_close(own, other)
    assert_close(pool(x.detach().float()), x.detach().float().mean((2, 3)))


def test_pool_gradcheck_and_opcheck() -> None:
    x = torch.randn(2, 5, 3, 2, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    assert torch.autograd.gradcheck(torch.ops.stnas.pool_forward.default, (x,))
    torch.library.opcheck(torch.ops.stnas.pool_forward.default, (x,))
    torch.library.opcheck(torch.ops.stnas.pool_backward.default, (torch.ones(2, 5), 3, 2))
