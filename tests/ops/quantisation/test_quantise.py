"""DoReFa and PACT: PyTorch's quantiser, the written formulas, straight-through gradients."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stnas.ops.quantisation import dorefa, pact

BITS = [1, 2, 3, 4, 8]


def clipped(x, bound):
    """Write PACT's clip as the paper does: 0.5 (|x| - |x - bound| + bound)."""
    return 0.5 * (x.abs() - (x - bound).abs() + bound)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("bound", [0.5, 1.0, 6.0])
def test_activations_are_those_of_torch_s_quantiser(bits, bound):
    torch.manual_seed(0)
    x = (torch.randn(2000) * bound).requires_grad_()
    alpha = torch.tensor(bound, requires_grad=True)
    found = pact(x, alpha, bits)
    twin = x.detach().clone().requires_grad_()
    steps = 2**bits - 1
    scale = bound / steps
    wanted = torch.fake_quantize_per_tensor_affine(twin.clamp(0, bound), scale, 0, 0, steps)
    ties = ((twin.detach() / scale) % 1 - 0.5).abs() < 1e-4
    torch.testing.assert_close(found[~ties], wanted[~ties], rtol=0, atol=2.4e-7 * max(bound, 1))
    grad = torch.randn(2000)
    found.backward(grad)
    wanted.backward(grad)
    assert torch.equal(x.grad, twin.grad)


@pytest.mark.parametrize("bits", BITS)
def test_gradients_are_those_of_the_clip_without_rounding(bits):
    torch.manual_seed(1)
    x = (3 * torch.randn(500).double()).requires_grad_()
    alpha = torch.tensor([[2.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(clipped, (x, alpha), eps=1e-6)
    grad = torch.randn(500).double()
    wanted = torch.autograd.grad(clipped(x, alpha).reshape(-1), (x, alpha), grad)
    found = torch.autograd.grad(pact(x, alpha, bits), (x, alpha), grad)
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_ends_of_the_clip():
    x = torch.tensor([-1.0, 0.0, 2.0, 3.0], requires_grad=True)
    alpha = torch.tensor(2.0, requires_grad=True)
    pact(x, alpha, 2).sum().backward()
    assert x.grad.tolist() == [0, 0, 0, 0]
    assert alpha.grad == 2


@pytest.mark.parametrize("bits", BITS[1:])
def test_weights_are_those_of_torch_s_quantiser(bits):
    torch.manual_seed(2)
    weight = torch.randn(40, 50).double()
    squeezed, steps = torch.tanh(weight), 2**bits - 1
    unit = squeezed / (2 * squeezed.abs().max()) + 0.5
    wanted = 2 * torch.fake_quantize_per_tensor_affine(unit, 1 / steps, 0, 0, steps) - 1
    found = dorefa(weight, bits)
    torch.testing.assert_close(found, wanted, rtol=0, atol=2.4e-7)
    assert len(found.unique()) == 2**bits


@pytest.mark.parametrize("bits", BITS[1:])
def test_the_gradient_of_weights_is_that_of_the_surrogate(bits):
    torch.manual_seed(3)
    weight = torch.randn(30, dtype=torch.float64, requires_grad=True)
    most = torch.tanh(weight).abs().max().detach()

    def surrogate(weight):
        return torch.tanh(weight) / most

    assert torch.autograd.gradcheck(surrogate, (weight,))
    grad = torch.randn(30, dtype=torch.float64)
    wanted = torch.autograd.grad(surrogate(weight), weight, grad)
    found = torch.autograd.grad(dorefa(weight, bits), weight, grad)
    torch.testing.assert_close(found, wanted)


def test_one_bit_is_the_sign_of_the_mean_size_and_of_0_it_is_1():
    weight = torch.tensor([-2.0, 0.0, 1.0, 5.0], requires_grad=True)
    found = dorefa(weight, 1)
    assert found.tolist() == [-2, 2, 2, 2]
    found.backward(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert weight.grad.tolist() == [1, 2, 3, 4]


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=30), st.integers(1, 8))
def test_values_lie_on_the_grid(values, bits):
    x = torch.tensor(values, dtype=torch.float64)
    steps = 2**bits - 1
    places = pact(x, torch.tensor(3.0).double(), bits) * steps / 3
    torch.testing.assert_close(places, places.round())
    assert 0 <= places.min() <= places.max() <= steps + 1e-9
    weights = dorefa(x, bits)
    assert torch.isfinite(weights).all()
    assert len(weights.unique()) <= 2**bits


def test_rounding_is_half_to_even():
    x = torch.tensor([0.5, 1.5, 2.5], dtype=torch.float64)
    assert pact(x, torch.tensor(3.0).double(), 2).tolist() == [0, 2, 2]


def test_a_bound_that_sank_below_0_divides_by_nothing():
    x = torch.tensor([-1.0, 0.5], requires_grad=True)
    bound = torch.tensor(-1.0, requires_grad=True)
    found = pact(x, bound, 2)
    found.sum().backward()
    torch.testing.assert_close(found.detach(), torch.tensor([0.0, 1e-4]))
    assert bound.grad == 1


def test_empty_tensors_and_values_that_are_none():
    assert pact(torch.empty(0, 3), torch.tensor(1.0), 4).shape == (0, 3)
    x = torch.tensor([torch.nan, torch.inf, -torch.inf])
    found = pact(x, torch.tensor(2.0), 4)
    assert found[0].isnan()
    assert found[1:].tolist() == [2, 0]


@pytest.mark.parametrize("bits", [0, 9, -1])
def test_other_bits_are_refused(bits):
    with pytest.raises(ValueError, match=rf"bits must lie in \[1, 8\], got {bits}"):
        dorefa(torch.ones(2), bits)
    with pytest.raises(ValueError, match=rf"bits must lie in \[1, 8\], got {bits}"):
        pact(torch.ones(2), torch.ones(1), bits)


def test_a_bound_for_each_channel_is_refused():
    with pytest.raises(ValueError, match=r"bound must be one number, got the shape \[3\]"):
        pact(torch.ones(2, 3), torch.ones(3), 2)
