"""Gradients of compiled operators: a second derivative is refused, never taken for 0."""

import pytest
import torch

from stnas.ops.once import once_differentiable


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = factor
        return factor * x**3

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3 * ctx.factor * x**2 * grad, None


def test_the_first_derivative_is_the_functions():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    Cube.apply(x, 2.0).sum().backward()
    assert x.grad.tolist() == [6.0, 24.0]


@pytest.mark.parametrize("way", ["backward", "grad"])
def test_the_second_is_refused_though_the_sum_has_a_constant_gradient(way):
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    (slope,) = torch.autograd.grad(Cube.apply(x, 2.0).sum(), x, create_graph=True)
    assert slope.tolist() == [6.0, 24.0]
    with pytest.raises(RuntimeError, match=r"differentiated twice.*: make the network with"):
        slope.sum().backward() if way == "backward" else torch.autograd.grad(slope.sum(), x)


def test_a_gradient_that_depends_on_nothing_is_a_constant():
    x = torch.ones(2, requires_grad=True)
    (slope,) = torch.autograd.grad(Cube.apply(x, 1.0).sum(), x)
    assert not slope.requires_grad
