"""One SGLD step: drift, noise and what it depends on."""

import math

import pytest
import torch

from stnas.ops.sgld import noise_scale, sgld_step_, standard_normal

PLAIN = {"lr": 0.1, "weight_decay": 0.0, "mode": "none", "seed": 0, "step": 0}


def test_without_noise_it_is_sgd_with_weight_decay():
    torch.manual_seed(0)
    ours = [torch.randn(3, 4), torch.randn(5)]
    theirs = [torch.nn.Parameter(p.clone()) for p in ours]
    optimizer = torch.optim.SGD(theirs, lr=0.1, weight_decay=0.01)
    for step in range(5):
        grads = [torch.randn_like(p) for p in ours]
        for parameter, grad in zip(theirs, grads, strict=True):
            parameter.grad = grad.clone()
        optimizer.step()
        sgld_step_(ours, grads, ids=[0, 1], **{**PLAIN, "step": step, "weight_decay": 0.01})
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other.detach())


def test_noise_depends_on_seed_step_and_tensor_alone():
    first = standard_normal(1000, seed=1, step=2, tensor=3)
    assert torch.equal(first, standard_normal(1000, seed=1, step=2, tensor=3))
    for other in ({"seed": 9}, {"step": 9}, {"tensor": 9}):
        noise = standard_normal(1000, **{"seed": 1, "step": 2, "tensor": 3, **other})
        assert abs(float(torch.corrcoef(torch.stack((first, noise)))[0, 1])) < 0.15


def test_order_and_company_of_tensors_do_not_matter():
    options = {**PLAIN, "mode": "literal"}
    values = [torch.zeros(4), torch.zeros(7)]
    sgld_step_(values, [torch.zeros(4), torch.zeros(7)], ids=[5, 8], **options)
    alone = torch.zeros(7)
    sgld_step_([alone], [torch.zeros(7)], ids=[8], **options)
    assert torch.equal(alone, values[1])
    swapped = [torch.zeros(7), torch.zeros(4)]
    sgld_step_(swapped, [torch.zeros(7), torch.zeros(4)], ids=[8, 5], **options)
    assert torch.equal(swapped[1], values[0])


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("posterior", math.sqrt(2 * 0.1 * 0.5 / 50)),
        ("literal", math.sqrt(2 * 0.1)),
        ("relative", 0.05 * 2.0 / math.sqrt(4)),
        ("none", 0.0),
    ],
)
def test_the_noise_has_its_formulas_standard_deviation(mode, expected):
    options = {"temperature": 0.5, "num_data": 50, "rho": 0.05, "steps_per_epoch": 4}
    value = torch.full((100_000,), 2.0)
    sgld_step_([value], [torch.zeros_like(value)], ids=[0], **{**PLAIN, "mode": mode}, **options)
    assert float(value.mean() - 2) == pytest.approx(0, abs=4 * expected / math.sqrt(1e5) + 1e-9)
    assert float(value.std()) == pytest.approx(expected, rel=0.01)
    assert noise_scale(mode, lr=0.1, rms=2.0, **options) == pytest.approx(expected)


def test_a_chain_on_a_gaussian_has_its_mean_and_variance():
    """On U = N (w - 3)^2 / (2 s^2) the posterior is normal with mean 3 and variance s^2 / N."""
    num_data, spread, lr = 10, 2.0, 0.02
    value, total, square = torch.zeros(4000), 0.0, 0.0
    for step in range(600):
        grad = (value - 3) / spread**2
        sgld_step_(
            [value],
            [grad],
            ids=[0],
            lr=lr * spread**2,
            weight_decay=0.0,
            mode="posterior",
            num_data=num_data,
            seed=1,
            step=step,
        )
        if step >= 300:
            total, square = total + value.mean() / 300, square + value.var() / 300
    assert float(total) == pytest.approx(3, abs=0.01)
    assert float(square) == pytest.approx(spread**2 / num_data, rel=0.03)


def test_lists_of_different_lengths_and_unknown_modes_are_refused():
    with pytest.raises(ValueError, match=r"one length, got 1, 0 and 1"):
        sgld_step_([torch.zeros(1)], [], ids=[0], **PLAIN)
    with pytest.raises(ValueError, match="mode must be posterior"):
        sgld_step_([torch.zeros(1)], [torch.zeros(1)], ids=[0], **{**PLAIN, "mode": "hot"})
    sgld_step_([], [], ids=[], **PLAIN)
