"""The CUDA form of BN and activation, and how many bytes the kernels of the choice block move."""

import pytest
import torch
from blocks import Case, draw, image, infer
from numerics import TOLERANCE, error

from stnas.ops.layers import reference
from stnas.ops.layers.reference import BatchNorm

BOUND = TOLERANCE["on emulated GPUs"]


def outcome(ops, x, affine, grad, activation):
    out, statistics = ops.norm_act_forward(x, *affine, activation)
    return [out, *ops.norm_act_backward(grad, x, *affine, statistics, activation)]


def draw_rows(channels, dtype, *, affine, height=7):
    generator = torch.Generator().manual_seed(channels)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    parameters = [1 + 0.3 * normal(channels), normal(channels)] if affine else [None, None]
    x, grad = (image(normal(3, channels, height, 9)) for _ in range(2))
    return x + 2, parameters, grad


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("activation", ["relu", "relu6", "hardswish", "silu"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 16, 31, 35, 68])
def test_it_equals_its_twin(kernels, channels, activation, dtype):
    x, affine, grad = draw_rows(channels, dtype, affine=channels % 2 == 1)
    leaves = [v.double().requires_grad_() for v in (x, *affine) if v is not None]
    norm = BatchNorm(*(leaves[1:] or [None, None]))
    out = reference.norm_act(leaves[0], norm, activation=activation, training=True)
    grad_x, *parameters = torch.autograd.grad(out, leaves, grad.double())
    expected = [out.detach(), grad_x] + ([torch.cat(parameters)] if parameters else [])
    there = [v if v is None else v.to(kernels.device) for v in (x, *affine, grad)]
    results = []
    for _ in kernels.schedules():
        found = outcome(kernels.ops, there[0], there[1:3], there[3], activation)
        for ours, exact in zip(found, expected, strict=False):
            assert error(ours, exact) <= BOUND[dtype]
        results.append(found)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, results[0], strict=True))


def assert_twin(kernels, x, affine, grad, activation):
    leaves = [v.double().requires_grad_() for v in (x, *affine)]
    norm = BatchNorm(*leaves[1:])
    out = reference.norm_act(leaves[0], norm, activation=activation, training=True)
    grad_x, *parameters = torch.autograd.grad(out, leaves, grad.double())
    there = [v.to(kernels.device) for v in (x, *affine, grad)]
    found = outcome(kernels.ops, there[0], there[1:3], there[3], activation)
    for ours, exact in zip(found, (out.detach(), grad_x, torch.cat(parameters)), strict=True):
        assert error(ours, exact) <= BOUND[torch.float32]


@pytest.mark.parametrize("height", [100, 19], ids=["parts for two rounds", "one row too many"])
def test_rows_are_shared_out(kernels, height):
    """More parts than a warp has lanes; 513 rows, one more than parts and blocks have."""
    assert_twin(kernels, *draw_rows(3, torch.float32, affine=True, height=height), "silu")


@pytest.mark.parametrize("activation", ["relu", "relu6", "hardswish", "silu"])
def test_slopes_at_the_kinks_are_those_of_torch(kernels, activation):
    """A weight of 0 makes every value the bias."""
    x, _, grad = draw_rows(4, torch.float32, affine=False)
    affine = [torch.zeros(4), torch.tensor([-3.0, 0.0, 3.0, 6.0])]
    assert_twin(kernels, x, affine, grad, activation)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, w: (x.bfloat16(), w, w, "relu"), "x must be float32 or float64, got bfloat16"),
        (lambda x, w: (x, w[1:], w, "relu"), r"weight must have shape \[5\]"),
        (lambda x, w: (x, w, w.double(), "relu"), "bias must be on .* have the dtype of x"),
        (lambda x, w: (x, w, w, "tanh"), "activation must be"),
    ],
)
def test_bad_input_raises_what_the_cpu_form_raises(kernels, change, message):
    for ops, device in ((torch.ops.stnas, "cpu"), (kernels.ops, kernels.device)):
        x = image(torch.ones(2, 5, 3, 3)).to(device)
        with pytest.raises(ValueError, match=message):
            ops.norm_act_forward(*change(x, torch.ones(5, device=device)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_block_infers_in_wide_accesses_without_waste(checked, dtype):
    case = Case((1, 16, 16, 2, 8, 8), 3, 1, "relu6", affine=False)
    given = draw(case, dtype)
    infer(checked.ops, case, given)
    rows = checked.traffic(memory="device")
    images = [row for row in rows if row["bytes"] >= 16]
    assert sum(row["ideal"] for row in images) >= 0.9 * sum(row["cost"] for row in images)


def test_normalising_moves_its_tensors_once_or_twice(checked):
    x, affine, _ = draw_rows(16, torch.float32, affine=True)
    checked.ops.norm_act_forward(x, *affine, "silu")
    rows = checked.traffic(memory="device")
    stores = sum(row["moved"] for row in rows if row["access"] == "store" and row["bytes"] == 16)
    loads = sum(row["moved"] for row in rows if row["access"] == "load" and row["bytes"] == 16)
    assert stores == x.nbytes
    # x for its statistics with the first row of every part, x and three coefficients again.
    assert x.nbytes * 2 < loads < x.nbytes * 6
