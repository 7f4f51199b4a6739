"""The CUDA form of the choice block: the twin's numbers, for every kernel, stride and residue."""

import pytest
import torch
from blocks import Case, draw, infer, moved, train, twin
from numerics import TOLERANCE, error

ROUNDOFF = 2.0**-9
BOUND = TOLERANCE["on emulated GPUs"]

# Channels of every residue of 8, hidden ones of many residues of 16 and 32; more than one tile of
# 64 rows or columns and of 16 or 32 terms; images that tiles of 8 x 8, 4 x 8 and 4 x 4 do not fill;
# more than 128 tiles, which are added up in parts of two.
CASES = [
    Case((2, 8, 8, 4, 9, 9), 3, 1, "relu6"),
    Case((2, 17, 9, 1, 10, 14), 5, 2, "silu"),
    Case((1, 5, 7, 3, 11, 13), 7, 4, "hardswish"),
    Case((3, 18, 18, 4, 5, 5), 3, 1, "relu", affine=False),
    Case((2, 3, 70, 2, 9, 17), 7, 1, "silu", affine=False),
    Case((2, 6, 5, 5, 13, 6), 3, 2, "hardswish"),
    Case((3, 4, 12, 3, 9, 10), 5, 4, "relu6", affine=False),
    Case((2, 11, 11, 6, 9, 8), 5, 1, "hardswish"),
    Case((1, 10, 6, 3, 17, 16), 7, 2, "relu"),
    Case((2, 16, 24, 2, 12, 12), 3, 4, "silu"),
    Case((131, 2, 3, 1, 2, 1), 3, 1, "silu"),
    Case((4, 2, 2, 1, 1, 1), 5, 2, "silu", affine=False),
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_equals_its_twin(kernels, case, dtype):
    given = draw(case, dtype)
    there = moved(given, kernels.device)
    expected = twin(case, given, torch.float64, training=True)
    found = train(kernels.ops, case, there)
    for name, exact in expected.items():
        assert error(found[name], exact) <= BOUND[dtype], name
    exact = twin(case, given, torch.float64, training=False)["out"]
    assert error(infer(kernels.ops, case, there), exact) <= BOUND[dtype]


@pytest.mark.parametrize("case", CASES[:11], ids=str)
def test_bfloat16_is_as_good_as_its_roundings(kernels, case):
    """Six roundings of an output and eight more of a gradient, and twice what torch loses."""
    given = draw(case, torch.bfloat16)
    there = moved(given, kernels.device)
    exact = twin(case, given, torch.float64, training=True)
    torchs = twin(case, given, torch.bfloat16, training=True)
    found = train(kernels.ops, case, there)
    assert found["out"].dtype == found["x"].dtype == torch.bfloat16
    assert found["expand"].dtype == torch.float32
    for name, value in exact.items():
        bound = (6 if name == "out" else 14) * ROUNDOFF
        assert error(found[name], value) <= bound + 2 * error(torchs[name], value), name
    value = twin(case, given, torch.float64, training=False)["out"]
    assert error(infer(kernels.ops, case, there), value) <= 6 * ROUNDOFF


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", [CASES[1], CASES[2], CASES[3]], ids=str)
def test_the_order_of_threads_changes_no_bit(kernels, case, dtype):
    given = moved(draw(case, dtype), kernels.device)
    results = []
    for _ in kernels.schedules():
        results.append([*train(kernels.ops, case, given).values(), infer(kernels.ops, case, given)])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(other, results[0], strict=True))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    ("channels", "height"), [*((c, 13) for c in (*range(1, 10), 15, 33, 66)), (6, 100)]
)
def test_moments_equal_those_of_their_definition(kernels, channels, height, dtype):
    """The tallest image has more parts than a warp has lanes."""
    generator = torch.Generator().manual_seed(channels)
    x = torch.randn(2, channels, height, 12, generator=generator, dtype=torch.float64) + 20
    x = x.to(dtype).contiguous(memory_format=torch.channels_last)
    rows = x.double().movedim(1, -1).reshape(-1, channels)
    exact = torch.cat([rows.mean(0, keepdim=True), rows.T.cov(correction=0).view(channels, -1)])
    found = kernels.ops.node_moments(x.to(kernels.device)).cpu().double()
    bound = 1e-12 if dtype == torch.float64 else 1e-5
    torch.testing.assert_close(found, exact, rtol=bound, atol=bound)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_large_means_do_not_cancel(kernels, dtype):
    case = CASES[0]
    given = draw(case, dtype)
    given = given._replace(x=given.x + 300)
    exact = twin(case, given, torch.float64, training=True)["out"]
    found = train(kernels.ops, case, moved(given, kernels.device))["out"]
    assert error(found, exact) <= (1e-3 if dtype == torch.float32 else 16 * ROUNDOFF)


def test_a_constant_channel_stays_one(kernels):
    case = Case((2, 8, 8, 2, 6, 6), 3, 1, "hardswish")
    given = draw(case, torch.float64)
    given.x[:, 2] = 1.5
    given.weights[0][3] = 0
    given.weights[1][5] = 0
    exact = twin(case, given, torch.float64, training=True)
    found = train(kernels.ops, case, moved(given, kernels.device))
    assert max(error(found[name], value) for name, value in exact.items()) <= 1e-9


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_variance_that_cancels_is_not_negative(kernels, dtype):
    """Channel 2 is the sum of the others, and every row of expand takes it away from them."""
    case = Case((2, 3, 5, 24, 6, 6))
    given = draw(case, dtype)
    given.x[:, 2] = given.x[:, 0] + given.x[:, 1]
    given.weights[0][:, :, 0, 0] = given.weights[0][:, :1, 0, 0] * torch.tensor([1, 1, -1])
    found = train(kernels.ops, case, moved(given, kernels.device))["statistics"]
    hidden = len(given.weights[0])
    assert (found[hidden : 2 * hidden] >= 0).all()
    assert (found[hidden : 2 * hidden] <= 1e-5).all()


def test_statistics_are_those_of_the_weights_as_products_take_them(kernels):
    """Of bfloat16 images weights are rounded, too: mean(e) = W m and var(e_k) = w_k' C w_k."""
    case = Case((2, 9, 5, 3, 8, 8))
    given = draw(case, torch.bfloat16)
    weight = given.weights[0].flatten(1).bfloat16().double()
    rows = given.x.double().movedim(1, -1).reshape(-1, 9)
    exact = torch.cat([weight @ rows.mean(0), (weight @ rows.T).var(1, correction=0)])
    found = train(kernels.ops, case, moved(given, kernels.device))["statistics"][:54]
    torch.testing.assert_close(found.cpu().double(), exact, rtol=1e-5, atol=1e-5)
