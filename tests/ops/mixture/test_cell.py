"""A mixed cell against its twin: values, gradients, registrations, properties, errors."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from instruction_sets import check_tests, with_every_instruction_set
from numerics import TOLERANCE, error
from torch import Tensor
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from stnas.ops import mixed_cell
from stnas.ops.mixture import reference

LAST = torch.channels_last
Case = tuple[Tensor, list[list[Tensor]], Tensor]

# images, channels, height, width, nodes, kernels: panels, odd sizes, one pixel, one edge, none
SIZES = [
    (2, 8, 5, 7, 3, (3,)),
    (1, 16, 8, 8, 3, (1, 3)),
    (3, 5, 1, 1, 2, (3,)),
    (2, 24, 4, 1, 1, (3, 1)),
    (2, 33, 3, 3, 2, (5,)),
    (5, 1, 1, 9, 3, (1,)),
    (4, 8, 17, 16, 4, (3,)),
    (2, 4, 3, 3, 2, ()),
]


def made(size: tuple[Any, ...], *, dtype: torch.dtype = torch.float64, seed: int = 0) -> Case:
    """Draw the first node, kernels and shares of a cell."""
    images, width, height, across, nodes, kernels = size
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    stacks = [
        [draw(left * width, width, k, k) / (width * k * k) ** 0.5 for k in kernels]
        for left in range(nodes, 0, -1)
    ]
    shares = draw(nodes * (nodes + 1) // 2, 2 + len(kernels)).softmax(1)
    return draw(images, width, height, across), stacks, shares


def outcome(form: Any, x: Tensor, stacks: list[list[Tensor]], shares: Tensor) -> list[Tensor]:
    """Return the result of a call on copies, and its gradients for x, shares and all kernels."""
    x, shares = (own.detach().clone().requires_grad_() for own in (x, shares))
    stacks = [[own.detach().clone().requires_grad_() for own in stack] for stack in stacks]
    out = form(x, stacks, shares)
    grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    leaves = [x, shares, *(kernel for stack in stacks for kernel in stack)]
    return [out.detach(), *torch.autograd.grad(out, leaves, grad.to(out.dtype))]


def assert_same(case: Case, *, slack: float = 1.0) -> None:
    """Compare a cell with the twin in float64."""
    x, stacks, shares = case
    wide = [[kernel.double() for kernel in stack] for stack in stacks]
    expected = outcome(reference.mixed_cell, x.double(), wide, shares.double())
    for own, twin in zip(outcome(mixed_cell, *case), expected, strict=True):
        assert error(own, twin) <= slack * TOLERANCE["block"][x.dtype]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_cell_equals_twin(size: tuple[Any, ...], dtype: torch.dtype) -> None:
    assert_same(made(size, dtype=dtype))


@settings(max_examples=40, deadline=None)
@given(
    images=st.integers(1, 5),
    width=st.integers(1, 35),
    sides=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    nodes=st.integers(1, 3),
    kernels=st.lists(st.sampled_from([1, 3, 5]), max_size=2),
    seed=st.integers(0, 1000),
)
def test_any_shape_equals_twin(
    images: int, width: int, sides: tuple[int, int], nodes: int, kernels: list[int], seed: int
) -> None:
    if images * sides[0] * sides[1] >= 8:
        assert_same(made((images, width, *sides, nodes, tuple(kernels)), seed=seed), slack=100)


@settings(max_examples=20, deadline=None)
@given(factor=st.floats(-3, 3), seed=st.integers(0, 100))
def test_a_node_is_linear_in_its_shares(factor: float, seed: int) -> None:
    x, stacks, shares = made((2, 8, 4, 5, 1, (3,)), seed=seed)
    other = made((2, 8, 4, 5, 1, (3,)), seed=seed + 1)[2]
    parts = mixed_cell(x, stacks, shares) + factor * mixed_cell(x, stacks, other)
    assert_close(mixed_cell(x, stacks, shares + factor * other), parts)


@pytest.mark.parametrize("form", [mixed_cell, reference.mixed_cell])
@pytest.mark.parametrize("kernels", [(3,), (1, 3), ()], ids=str)
def test_gradcheck(form: Any, kernels: tuple[int, ...]) -> None:
    x, stacks, shares = made((2, 3, 4, 3, 2, kernels))
    each = len(kernels)

    def call(x: Tensor, shares: Tensor, *flat: Tensor) -> Tensor:
        return form(x, [flat[:each], flat[each:]], shares)

    leaves = [x, shares, *(kernel for stack in stacks for kernel in stack)]
    assert torch.autograd.gradcheck(call, [own.requires_grad_() for own in leaves], atol=1e-6)


def computed(size: tuple[int, ...], dtype: torch.dtype) -> dict[str, Any]:
    """Return the arguments of the operator for a node of two others, of which both edges leave."""
    x = [made(size, dtype=dtype, seed=i)[0].contiguous(memory_format=LAST) for i in range(2)]
    first, second = made(size, dtype=dtype)[1][-2:]
    pairs = [
        torch.ops.stnas.edge_convolutions(own, stack[0])
        for own, stack in zip(x, (first, second), strict=True)
    ]
    z, statistics = ([pair[i] for pair in pairs] for i in range(2))
    return {"x": x, "z": z, "statistics": statistics, "shares": torch.rand(2, 3, dtype=dtype)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_opcheck(dtype: torch.dtype) -> None:
    arguments, operators = computed(SIZES[0], dtype), torch.ops.stnas
    x, z = arguments["x"], arguments["z"]
    kernel = made(SIZES[0], dtype=dtype)[1][-2][0]
    torch.library.opcheck(operators.edge_convolutions.default, (x[0], kernel))
    torch.library.opcheck(operators.mixed_node.default, tuple(arguments.values()))
    grad = torch.ones_like(x[0])
    for wanted in (False, True):
        to = [torch.zeros_like(own) for own in x]
        backward = (grad, *arguments.values(), to, wanted, wanted)
        torch.library.opcheck(operators.mixed_node_backward_.default, backward)
        corrections = [torch.ones(4, 8, dtype=dtype) for _ in range(2)]
        backward = ([grad, grad], corrections, x[0], z[0], kernel, to[0], wanted)
        torch.library.opcheck(operators.edge_convolutions_backward_.default, backward)


@pytest.mark.parametrize("size", [(24, 16, 20, 20, 3, (3,)), (9, 32, 8, 8, 3, (3,))], ids=str)
def test_result_does_not_depend_on_threads(size: tuple[Any, ...]) -> None:
    case, threads = made(size, dtype=torch.float32), torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(outcome(mixed_cell, *case))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        assert all(map(torch.equal, other, found[0]))


def test_large_means_do_not_cancel() -> None:
    x, stacks, shares = made((4, 8, 12, 12, 2, (3,)), dtype=torch.float32)
    assert_same((x + 100, stacks, shares), slack=50)


def test_shares_of_zero_leave_a_term_out_and_have_a_gradient() -> None:
    x, stacks, shares = made((2, 8, 5, 4, 2, (1, 3)))
    shares[0] = torch.tensor([1, 0, 0, 0])
    shares[1:, 1] = 0
    assert_same((x, stacks, shares))
    alone = mixed_cell(x, [stacks[0][:0]], torch.tensor([[1.0, 0]], dtype=torch.float64))
    assert torch.equal(alone, x)


def test_constant_channels() -> None:
    x, stacks, shares = made((3, 8, 6, 6, 2, (3,)))
    x[:, 2] = 1.5
    stacks[0][0][1] = 0
    assert_same((x, stacks, shares))


def test_nan_stays_in_its_images_where_nothing_is_normalised() -> None:
    x, stacks, shares = made((3, 8, 5, 5, 2, ()))
    x[1, 2, 2, 2] = torch.nan
    out, twin = mixed_cell(x, stacks, shares), reference.mixed_cell(x, stacks, shares)
    assert torch.equal(out.isnan(), twin.isnan())
    assert out.isnan().any()
    assert not out[0].isnan().any()
    case = made((3, 8, 5, 5, 2, (3,)))
    case[0][1, 2, 2, 2] = torch.nan
    assert mixed_cell(*case).isnan().all()


def test_strided_input_and_expanded_gradient() -> None:
    x, stacks, shares = made((4, 8, 12, 13, 2, (3,)))
    part = x[::2, :, ::2, 1::3]
    assert_same((part, stacks, shares))
    found = []
    for form in (mixed_cell, reference.mixed_cell):
        own = part.clone().requires_grad_()
        form(own, stacks, shares).mean().backward()
        found.append(own.grad)
    assert_close(*found)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)  # the latter is empty
def test_torch_computes_what_has_no_kernels(dtype: torch.dtype) -> None:
    images = 0 if dtype == torch.float32 else 2
    x, stacks, shares = made((images, 8, 4, 4, 2, ()), dtype=dtype)
    out = mixed_cell(x, stacks, shares)
    assert_close(out, reference.mixed_cell(x, stacks, shares))
    assert out.dtype == dtype


def test_autocast_is_torchs() -> None:
    x, stacks, shares = made(SIZES[0], dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(mixed_cell(x, stacks, shares), reference.mixed_cell(x, stacks, shares))


def test_flops_equal_the_twins() -> None:
    case, counts = made(SIZES[1]), []
    for form in (mixed_cell, reference.mixed_cell):
        with FlopCounterMode(display=False) as counter:
            outcome(form, *case)
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


def test_a_second_derivative_is_refused() -> None:
    x, stacks, shares = made(SIZES[0])
    own = x.requires_grad_()
    (first,) = torch.autograd.grad(mixed_cell(own, stacks, shares).sum(), own, create_graph=True)
    with pytest.raises(RuntimeError, match="must not be differentiated twice"):
        first.sum().backward()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": torch.zeros(2, 8, 6)}, "x must have 4 dimensions"),
        ({"x": torch.zeros(1, 8, 1, 1)}, "more than 1 value per channel.*use a larger batch"),
        ({"stacks": []}, "stacks must hold the kernels of 1 node or more, got none"),
        (
            {"stacks": [[torch.zeros(16, 8, 3, 3)], []]},
            "stacks must hold equally many kernels for each node, 1, got 0",
        ),
        (
            {"stacks": [[torch.zeros(16, 8, 3, 3)], [torch.zeros(16, 8, 3, 3)]]},
            r"stacks\[1\] must hold kernels \[8, 8, size, size\].*got \[16, 8, 3, 3\]",
        ),
        (
            {"stacks": [[torch.zeros(16, 8, 2, 2)], [torch.zeros(8, 8, 3, 3)]]},
            r"of an odd size, got \[16, 8, 2, 2\]",
        ),
        (
            {"shares": torch.zeros(2, 3)},
            r"shares must have shape \[3, 3\], a row for each edge, got \[2, 3\]",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_errors_name_argument_rule_and_value(changes: dict[str, Any], message: str) -> None:
    x, stacks, shares = made((2, 8, 6, 6, 2, (3,)), dtype=torch.float32)
    given_ = {"x": x, "stacks": stacks, "shares": shares} | changes
    with pytest.raises(ValueError, match=message):
        mixed_cell(**given_)


NARROW = torch.zeros(2, 8, 4, 4).contiguous(memory_format=LAST)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": []}, "x must hold 1 tensor or more, got 0"),
        ({"z": [NARROW]}, "z must hold equally many tensors for each of 2 x"),
        ({"shares": torch.zeros(2, 4)}, r"shares must have shape \[2, 3\], got \[2, 4\]"),
        ({"z": [torch.zeros(2, 16, 4, 4)] * 2}, "z must be in channels_last order"),
        ({"z": [NARROW] * 2}, "z must have a multiple of 8 channels, 16 or more, got 8"),
        ({"z": [NARROW[:1]] * 2}, "z must have size 2 in dimension 0, got 1"),
        ({"x": [torch.zeros(2, 8, 4, 4)] * 2}, "x must be in channels_last order"),
        ({"statistics": []}, "statistics must hold 2 tensors, got 0"),
        ({"statistics": [torch.zeros(2, 8)] * 2}, r"statistics must have shape \[2, 16\]"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_errors_of_a_node(changes: dict[str, Any], message: str) -> None:
    arguments = computed((2, 8, 4, 4, 2, (3,)), torch.float32) | changes
    with pytest.raises(ValueError, match=message):
        torch.ops.stnas.mixed_node(**arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": torch.zeros(2, 8, 4, 4)}, "x must be in channels_last order"),
        ({"x": NARROW.bfloat16()}, "x must be float32 or float64 on the CPU"),
        ({"kernel": torch.zeros(16, 8, 3, 3).double()}, "kernel must .* have the dtype of x"),
        ({"kernel": torch.zeros(12, 8, 3, 3)}, "a multiple of 8 rows.* got 12"),
        ({"kernel": torch.zeros(16, 8, 2, 2)}, "kernel must have an odd size, got 2"),
        ({"kernel": torch.zeros(16, 8, 3)}, "kernel must have 4 dimensions, got 3"),
        ({"kernel": torch.zeros(16, 8, 1, 3)}, r"kernel must have shape \[16, 8, 3, 3\]"),
        ({"z": NARROW[:1]}, "z must have size 2 in dimension 0, got 1"),
        ({"grads": [NARROW]}, "must hold 2 tensors, one for each edge, got 1 and 2"),
        ({"corrections": [torch.zeros(4, 16)] * 2}, r"corrections must have shape \[4, 8\]"),
        ({"of_x": NARROW[:1]}, "of_x must have size 2 in dimension 0, got 1"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_errors_of_the_convolutions(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "grads": [NARROW] * 2,
        "corrections": [torch.zeros(4, 8)] * 2,
        "x": NARROW,
        "z": torch.cat([NARROW, NARROW], 1),
        "kernel": torch.zeros(16, 8, 3, 3),
        "of_x": NARROW.clone(),
    }
    with pytest.raises(ValueError, match=message):
        torch.ops.stnas.edge_convolutions_backward_(**(arguments | changes), wants_kernel=True)


@with_every_instruction_set
def test_every_instruction_set_passes_these_tests(isa: str) -> None:
    files = [__file__, __file__.replace("cell", "merge")]
    names = "equals_twin and float32 or equal_the_twins or threads or cancel"
    check_tests(isa, *files, names=names)
