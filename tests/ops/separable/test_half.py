"""Half a separable convolution against its twin: values, gradients, registrations, errors."""

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

from stnas.ops.layers.reference import BatchNorm
from stnas.ops.separable import reference
from stnas.ops.separable.half import relu_dw_pw_bn
from stnas.ops.separable.reference import Term

Kind = tuple[int, ...]
"""Kernel, stride and grid of a term; kernel 0: none, with a shift."""
PLAIN: list[Kind] = [(3, 1, 1)]

# images, in, out, height, width, and terms: one to four images in a block, several blocks, bare
# and padded rows, lattices with and without pixels, one pixel, an incomplete group of images.
CASES: list[tuple[tuple[int, ...], list[Kind]]] = [
    ((2, 8, 8, 6, 6), PLAIN),
    ((3, 8, 8, 32, 32), [(5, 1, 1), (5, 1, 2)]),
    ((3, 8, 8, 7, 9), [(5, 2, 1), (5, 2, 2)]),
    ((1, 16, 16, 16, 15), [(3, 1, 1), (5, 1, 2)]),
    ((5, 32, 32, 8, 8), [(5, 1, 1), (3, 1, 2)]),
    ((3, 32, 20, 17, 16), [(3, 2, 1), (5, 2, 2)]),
    ((9, 2, 2, 5, 5), [(5, 1, 2)]),
    ((7, 3, 4, 6, 5), [(3, 1, 2), (3, 1, 1), (5, 1, 1)]),
    ((1, 1, 1, 3, 3), PLAIN),
    ((2, 24, 40, 9, 7), [(5, 1, 2)]),
    ((5, 5, 20, 1, 1), [(5, 1, 2)]),
    ((6, 1, 7, 1, 2), [(3, 2, 1)]),
    ((2, 6, 8, 57, 58), [(5, 2, 1), (3, 2, 2)]),
    ((3, 12, 8, 6, 7), [(0, 1, 1)]),
    ((5, 8, 4, 7, 6), [(0, 2, 1, 1), (3, 2, 1), (0, 2, 1)]),
    ((9, 4, 2, 1, 1), [(0, 2, 1, 0), (0, 2, 1, 1)]),
]


def drawn(
    size: tuple[int, ...], kinds: list[Kind], seed: int = 0
) -> tuple[list[Term], Tensor, Tensor]:
    """Draw terms, a 1x1 and a scale in float64."""
    images, before, after, height, width = size
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    terms = [
        Term(
            0.3 + draw(images, before, height, width),
            draw(before, 1, k, k) / k if k else None,
            *others,
        )
        for k, *others in kinds
    ]
    return terms, draw(after, before, 1, 1) / before**0.5, draw()


Affine = tuple[Tensor | None, Tensor | None]


def drawn_affine(channels: int) -> list[Affine]:
    """Draw BN's weight and bias in float64: none, the first, both."""
    generator = torch.Generator().manual_seed(2)
    weight, bias = torch.randn(2, channels, generator=generator, dtype=torch.float64)
    return [(None, None), (weight, None), (weight, bias)]


def outcome(
    form: Any,
    terms: list[Term],
    pointwise: Tensor,
    scale: Tensor | None,
    dtype: torch.dtype,
    affine: Affine = (None, None),
) -> dict[str, Tensor]:
    """Return output, statistics and gradients of one call on copies in ``dtype``."""

    def own(value: Tensor) -> Tensor:
        return value.detach().to(dtype, copy=True).requires_grad_()

    terms = [
        t._replace(x=own(t.x), kernel=None if t.kernel is None else own(t.kernel)) for t in terms
    ]
    leaves = [own(pointwise), *(v for t in terms for v in t[:2] if v is not None)]
    scale, *affine = (None if value is None else own(value) for value in (scale, *affine))
    leaves += [value for value in (scale, *affine) if value is not None]
    channels = len(pointwise)
    norm = BatchNorm(*affine, torch.zeros(channels).to(dtype), torch.ones(channels).to(dtype))
    out = form(terms, leaves[0], norm, scale=scale)
    grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    grads = torch.autograd.grad(out, leaves, grad)
    found = {"out": out.detach(), "mean": norm.running_mean, "var": norm.running_var}
    return found | {f"grad{i}": value for i, value in enumerate(grads)}  # type: ignore[return-value]


def assert_same(
    terms: list[Term],
    pointwise: Tensor,
    scale: Tensor | None,
    *,
    dtype: torch.dtype,
    slack: float = 1.0,
    affine: Affine = (None, None),
) -> None:
    """Compare the fused half in ``dtype`` with the twin in float64; slack: times the tolerance."""
    ours = outcome(relu_dw_pw_bn, terms, pointwise, scale, dtype, affine)
    twin = outcome(reference.relu_dw_pw_bn, terms, pointwise, scale, torch.float64, affine)
    for name, expected in twin.items():
        assert error(ours[name], expected) <= slack * TOLERANCE["separable"][dtype], name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("size", "kinds"), CASES, ids=str)
def test_half_equals_twin(size: tuple[int, ...], kinds: list[Kind], dtype: torch.dtype) -> None:
    terms, pointwise, scale = drawn(size, kinds)
    for affine in drawn_affine(len(pointwise)):
        for given_scale in (scale, None):
            assert_same(terms, pointwise, given_scale, dtype=dtype, affine=affine)


@settings(max_examples=60, deadline=None)
@given(
    images=st.integers(1, 9),
    channels=st.tuples(st.integers(1, 36), st.integers(1, 36)),
    sides=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    stride=st.sampled_from([1, 2]),
    kinds=st.lists(
        st.tuples(st.sampled_from([3, 5]), st.sampled_from([1, 2])), min_size=1, max_size=3
    ),
    seed=st.integers(0, 1000),
)
def test_any_shape_equals_twin(
    images: int, channels: tuple[int, int], sides: tuple[int, int], stride: int,
    kinds: list[tuple[int, int]], seed: int,
) -> None:  # fmt: skip
    if images * -(-sides[0] // stride) * -(-sides[1] // stride) < 8:
        return
    terms, pointwise, scale = drawn(
        (images, *channels, *sides), [(kernel, stride, grid) for kernel, grid in kinds], seed
    )
    assert_same(terms, pointwise, scale, dtype=torch.float64, slack=100)


@pytest.mark.parametrize(
    ("size", "kinds"),
    [((3, 3, 4, 5, 4), [(3, 1, 1), (3, 1, 2)]), ((2, 9, 8, 5, 6), [(3, 2, 1), (5, 2, 2)])],
    ids=str,
)
@pytest.mark.parametrize("form", [relu_dw_pw_bn, reference.relu_dw_pw_bn])
def test_gradcheck(form: Any, size: tuple[int, ...], kinds: list[Kind]) -> None:
    terms, pointwise, scale = drawn(size, kinds)

    def call(*values: Tensor) -> Tensor:
        pairs = zip(values[2:-2:2], values[3:-2:2], strict=True)
        own = [Term(*pair, *term[2:]) for pair, term in zip(pairs, terms, strict=True)]
        return form(own, values[0], BatchNorm(*values[-2:]), scale=values[1])

    *_, affine = drawn_affine(len(pointwise))
    leaves = [pointwise, scale, *(v for term in terms for v in term[:2]), *affine]
    assert torch.autograd.gradcheck(call, [leaf.requires_grad_() for leaf in leaves], atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("size", "kinds"), [((3, 8, 8, 6, 6), PLAIN), ((2, 20, 9, 5, 6), [(3, 2, 1), (5, 2, 2)])],
    ids=str,
)  # fmt: skip
def test_opcheck(size: tuple[int, ...], kinds: list[Kind], dtype: torch.dtype) -> None:
    terms, pointwise, scale = drawn(size, kinds)
    xs = [t.x.to(dtype).contiguous(memory_format=torch.channels_last) for t in terms]
    kernels = [t.kernel.to(dtype) for t in terms if t.kernel is not None]
    strides, grids, shifts = ([t[i] for t in terms] for i in (2, 3, 4))
    operators = torch.ops.stnas
    for affine in drawn_affine(len(pointwise)):
        own = [None if value is None else value.to(dtype) for value in (pointwise, scale, *affine)]
        for keep in (False, True):
            forward = (xs, kernels, strides, grids, shifts, *own, keep)
            torch.library.opcheck(operators.relu_dw_pw_bn_forward.default, forward)
        out, *kept = operators.relu_dw_pw_bn_forward(*forward)
        backward = (torch.ones_like(out), xs, kernels, strides, grids, shifts, *own, *kept)
        torch.library.opcheck(operators.relu_dw_pw_bn_backward.default, backward)


def test_result_does_not_depend_on_threads() -> None:
    threads = torch.get_num_threads()
    try:
        for size, kinds in [
            ((41, 8, 8, 16, 16), [(5, 1, 1), (5, 1, 2)]),
            ((6, 40, 24, 30, 31), [(5, 2, 1), (3, 2, 2)]),
        ]:
            results = []
            for count in (1, 2, 3):
                torch.set_num_threads(count)
                results.append(outcome(relu_dw_pw_bn, *drawn(size, kinds), torch.float32))
            for other in results[1:]:
                assert all(torch.equal(other[name], results[0][name]) for name in other)
    finally:
        torch.set_num_threads(threads)


def test_large_means_do_not_cancel() -> None:
    terms, pointwise, scale = drawn((4, 8, 8, 12, 12), [(3, 1, 1), (3, 1, 2)])
    terms = [t._replace(x=t.x + 300, kernel=t.kernel.abs()) for t in terms if t.kernel is not None]
    inner = outcome(reference.relu_dw_pw_bn, terms, pointwise, scale, torch.float64)
    found = outcome(relu_dw_pw_bn, terms, pointwise, scale, torch.float32)
    assert error(found["out"], inner["out"]) < 1e-3


def test_constant_channels() -> None:
    terms, pointwise, scale = drawn((4, 8, 8, 6, 6), PLAIN)
    terms[0].x[:, 3] = -1
    pointwise[1] = 0
    pointwise[2] = 0
    pointwise[2, 3] = 1
    assert_same(terms, pointwise, scale, dtype=torch.float64)


def test_nan_reaches_the_output() -> None:
    terms, pointwise, scale = drawn((3, 8, 8, 6, 6), PLAIN)
    terms[0].x[0, 1, 0, 0] = torch.nan
    assert relu_dw_pw_bn(terms, pointwise, scale=scale).isnan().all()
    assert reference.relu_dw_pw_bn(terms, pointwise, scale=scale).isnan().all()


def test_strided_input_and_expanded_gradient() -> None:
    terms, pointwise, scale = drawn((4, 8, 8, 12, 14), [(3, 1, 1), (5, 1, 2)])
    assert_same(
        [t._replace(x=t.x[::2, :, ::2, 1::3]) for t in terms], pointwise, scale,
        dtype=torch.float64,
    )  # fmt: skip
    found = []
    for form in (relu_dw_pw_bn, reference.relu_dw_pw_bn):
        image = terms[0].x.clone().requires_grad_()
        weight = pointwise.clone().requires_grad_()
        form([terms[0]._replace(x=image), terms[1]], weight).square().mean().backward()
        found.append((image.grad, weight.grad))
    assert_close(found[0], found[1])


def test_one_input_of_two_terms_has_both_gradients() -> None:
    terms, pointwise, _ = drawn((3, 8, 8, 7, 7), [(3, 1, 1), (5, 1, 1)])
    found = []
    for form in (relu_dw_pw_bn, reference.relu_dw_pw_bn):
        image = terms[0].x.clone().requires_grad_()
        form([t._replace(x=image) for t in terms], pointwise).pow(3).sum().backward()
        found.append(image.grad)
    assert_close(found[0], found[1])


def test_a_second_derivative_is_refused() -> None:
    terms, pointwise, _ = drawn((2, 4, 4, 5, 5), PLAIN)
    out = relu_dw_pw_bn(terms, pointwise.requires_grad_())
    (gradient,) = torch.autograd.grad(out.square().sum(), pointwise, create_graph=True)
    with pytest.raises(RuntimeError, match="must not be differentiated twice"):
        torch.autograd.grad(gradient.sum(), pointwise)


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": torch.bfloat16},
        {"images": 0},
        {"kernel": 7},
        {"grid": 3},
        {"training": False, "norm": BatchNorm(None, None, torch.ones(8), torch.ones(8))},
    ],
    ids=lambda value: "-".join(value),
)
def test_torch_computes_what_has_no_kernels(changes: dict[str, Any]) -> None:
    size = (changes.get("images", 2), 8, 8, 6, 6)
    kinds = [(changes.get("kernel", 3), 1, changes.get("grid", 1))]
    dtype = changes.get("dtype", torch.float32)
    terms, pointwise, scale = drawn(size, kinds)
    terms = [
        t._replace(x=t.x.to(dtype), kernel=t.kernel.to(dtype))
        for t in terms
        if t.kernel is not None
    ]
    norm = changes.get("norm", BatchNorm())
    found = [
        form(
            terms, pointwise.to(dtype), norm,
            scale=scale.to(dtype), training=changes.get("training", True),
        )
        for form in (relu_dw_pw_bn, reference.relu_dw_pw_bn)
    ]  # fmt: skip
    assert_close(*found)
    assert found[0].dtype == dtype


def test_autocast_computes_as_torch_does() -> None:
    terms, pointwise, _ = drawn((2, 8, 8, 6, 6), PLAIN)
    terms = [
        t._replace(x=t.x.float(), kernel=t.kernel.float()) for t in terms if t.kernel is not None
    ]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = [f(terms, pointwise.float()) for f in (relu_dw_pw_bn, reference.relu_dw_pw_bn)]
    assert_close(*found)


def test_flops_equal_the_twins() -> None:
    for size, kinds in CASES[:6]:
        terms, pointwise, _ = drawn(size, kinds)
        counts = []
        for form in (relu_dw_pw_bn, reference.relu_dw_pw_bn):
            with FlopCounterMode(display=False) as counter:
                form(terms, pointwise)
            counts.append(counter.get_total_flops())
        assert counts[0] == counts[1] > 0


def zeros(*shape: int) -> Tensor:
    return torch.zeros(shape)


@pytest.mark.parametrize(
    ("terms", "pointwise", "scale", "message"),
    [
        ([], zeros(4, 8, 1, 1), None, "terms must be one or more, got none"),
        ([Term(zeros(2, 8, 6), zeros(8, 1, 3, 3))], zeros(4, 8, 1, 1), None,
         "x must have 4 dimensions"),
        ([Term(zeros(1, 8, 1, 1), zeros(8, 1, 3, 3))], zeros(4, 8, 1, 1), None,
         "more than 1 value per channel"),
        ([Term(zeros(2, 8, 6, 6), zeros(7, 1, 3, 3))], zeros(4, 8, 1, 1), None,
         r"kernels must have shape \[8, 1, 3, 3\], got \[7, 1, 3, 3\]"),
        ([Term(zeros(2, 8, 6, 6), zeros(8, 1, 3, 3))], zeros(4, 7, 1, 1), None,
         r"pointwise must have shape \[4, 8, 1, 1\], got \[4, 7, 1, 1\]"),
        ([Term(zeros(2, 8, 6, 6), None, 1, 1, 1)], zeros(4, 8, 1, 1), None,
         "shifts must be 0, or 1 for an empty kernel at stride 2, got 1"),
        ([Term(zeros(2, 8, 6, 6), None, 1, 2)], zeros(4, 8, 1, 1), None,
         "grids must be 1 for an empty kernel, got 2"),
        ([Term(zeros(2, 8, 6, 6), zeros(8, 1, 3, 3))], zeros(4, 8, 1, 1), zeros(2),
         "scale must have 1 value, got 2"),
        ([Term(zeros(2, 8, 6, 6), zeros(8, 1, 3, 3)), Term(zeros(2, 8, 4, 6), zeros(8, 1, 3, 3))],
         zeros(4, 8, 1, 1), None, "strides must give all terms one size, got 4 x 6 beside 6 x 6"),
        ([Term(zeros(2, 8, 6, 6), zeros(8, 1, 3, 3)), Term(zeros(3, 8, 6, 6), zeros(8, 1, 3, 3))],
         zeros(4, 8, 1, 1), None, "xs must have as many images and channels each, 2 and 8"),
    ],
    ids=str,
)  # fmt: skip
def test_errors_name_argument_rule_and_value(
    terms: list[Term], pointwise: Tensor, scale: Tensor | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        relu_dw_pw_bn(terms, pointwise, scale=scale)


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_parameters_of_a_bn_are_one_a_channel(name: str) -> None:
    terms = [Term(zeros(2, 8, 6, 6), zeros(8, 1, 3, 3))]
    norm = BatchNorm(zeros(4), zeros(4))._replace(**{name: zeros(3)})
    with pytest.raises(ValueError, match=rf"{name} must have shape \[4\], got \[3\]"):
        relu_dw_pw_bn(terms, zeros(4, 8, 1, 1), norm)


@with_every_instruction_set
def test_every_instruction_set_passes_these_tests(isa: str) -> None:
    check_tests(isa, __file__, names="equals_twin and float32 or threads or cancel")
