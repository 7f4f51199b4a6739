"""The compiled SGLD step: its twin, layouts, threads, autograd and `posteriors`."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.library import opcheck

from stnas.ops.sgld import reference as sgld_reference
from stnas.ops.sgld import sgld_step_, standard_normal

SIZES = [0, 1, 15, 16, 17, 127, 128, 129, 1000, 70_000]
NOISE = {
    "lr": 0.3,
    "weight_decay": 0.01,
    "temperature": 0.5,
    "num_data": 7,
    "rho": 0.2,
    "steps_per_epoch": 3,
    "seed": 5,
    "step": 6,
}
MODES = ["posterior", "relative", "literal", "none"]


def tensors(sizes, *, dtype=torch.float32, seed=0):
    torch.manual_seed(seed)
    return [torch.randn(size, dtype=dtype) for size in sizes]


def image(layout, *, seed=0):
    """Make one [6, 4, 3, 5] tensor of given values in several memory layouts."""
    values = tensors([6 * 4 * 3 * 5], seed=seed)[0].view(6, 4, 3, 5)
    if layout == "channels_last":
        return values.to(memory_format=torch.channels_last)
    if layout == "transposed":
        return values.permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0)
    if layout == "sliced":
        return torch.zeros(6, 8, 3, 5)[:, ::2].copy_(values)
    return values


LAYOUTS = ["contiguous", "channels_last", "transposed", "sliced"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_it_equals_its_twin(mode, dtype):
    grads = tensors(SIZES, dtype=dtype, seed=1)
    ours, theirs = tensors(SIZES, dtype=dtype), tensors(SIZES, dtype=dtype)
    options = {**NOISE, "mode": mode, "ids": range(len(SIZES))}
    sgld_step_(ours, grads, **options)
    sgld_reference.sgld_step_(theirs, grads, **options)
    bound = 0 if mode == "none" else 1e-6  # of the float32 normals
    torch.testing.assert_close(ours, theirs, rtol=0, atol=bound)


@given(
    st.lists(st.integers(0, 300), max_size=6),
    st.sampled_from(MODES),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.randoms(use_true_random=False),
)
def test_order_and_company_do_not_matter(sizes, mode, seed, step, random):
    grads, ours, alone = tensors(sizes, seed=1), tensors(sizes), tensors(sizes)
    ids = [random.randrange(2**31) * 2 + i % 2 for i in range(len(sizes))]
    ids = [2**32 - 1 - i if ids.count(identity) > 1 else identity for i, identity in enumerate(ids)]
    options = {**NOISE, "mode": mode, "seed": seed, "step": step}
    order = list(range(len(sizes)))
    random.shuffle(order)
    sgld_step_(
        [ours[i] for i in order], [grads[i] for i in order], ids=[ids[i] for i in order], **options
    )
    for w, grad, identity in zip(alone, grads, ids, strict=True):
        sgld_step_([w], [grad], ids=[identity], **options)
    assert all(torch.equal(a, b) for a, b in zip(ours, alone, strict=True))


@pytest.mark.parametrize("mode", MODES)
def test_threads_do_not_matter(mode):
    results = []
    for threads in (1, 2, 3, 7):
        torch.set_num_threads(threads)
        try:
            ours = tensors([300_001, 5, 77_777])
            sgld_step_(
                ours, tensors([300_001, 5, 77_777], seed=1), ids=[0, 1, 2], mode=mode, **NOISE
            )
        finally:
            torch.set_num_threads(1)
        results.append(ours)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("grad_layout", LAYOUTS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_memory_layout_does_not_matter(layout, grad_layout, mode):
    options = {**NOISE, "mode": mode, "ids": [3]}
    plain, value = image("contiguous"), image(layout)
    sgld_step_([plain], [image("contiguous", seed=1)], **options)
    strides = value.stride()
    sgld_step_([value], [image(grad_layout, seed=1)], **options)
    assert value.stride() == strides
    assert torch.equal(value, plain)


def test_what_lies_between_the_elements_of_a_slice_stays():
    around = torch.zeros(6, 8)
    sgld_step_([around[:, ::2]], [torch.ones(6, 4)], ids=[0], mode="literal", **NOISE)
    assert torch.equal(around[:, 1::2], torch.zeros(6, 4))
    assert bool((around[:, ::2] != 0).all())


def test_nan_and_infinity_stay_where_they_are():
    value, grad = torch.ones(300), torch.zeros(300)
    grad[7], grad[130] = float("nan"), float("inf")
    sgld_step_([value], [grad], ids=[0], mode="literal", **NOISE)
    assert torch.isnan(value).nonzero().flatten().tolist() == [7]
    assert value[130] == -float("inf")
    assert int(torch.isfinite(value).sum()) == 298


def test_autograd_notices_the_change():
    value = torch.ones(3, requires_grad=True)
    loss = (value * value).sum()
    sgld_step_([value], [torch.ones(3)], ids=[0], mode="none", **NOISE)
    assert value._version == 1
    assert value.requires_grad
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_the_drift_is_that_of_posteriors():
    sgld = pytest.importorskip("posteriors").sgmcmc.sgld
    target = torch.linspace(-1, 1, 50)

    def log_posterior(theta, batch):
        return -((theta["w"] - target) ** 2).sum() / 2 - theta["b"].square().sum(), torch.empty(0)

    start = {"w": torch.zeros(50), "b": torch.ones(3, 4)}
    transform = sgld.build(log_posterior, lr=0.05, temperature=0.0)
    state = transform.init(copy.deepcopy(start))
    ours = [start["w"].clone(), start["b"].clone()]
    for step in range(20):
        state, _ = transform.update(state, None)
        grads = [ours[0] - target, 2 * ours[1]]
        sgld_step_(
            ours,
            grads,
            ids=[0, 1],
            lr=0.05,
            weight_decay=0.0,
            mode="posterior",
            temperature=0.0,
            seed=0,
            step=step,
        )
        torch.testing.assert_close(
            ours, [state.params["w"], state.params["b"]], rtol=1e-6, atol=1e-7
        )


def test_a_chain_on_a_correlated_gaussian_has_its_mean_and_covariance():
    """5,000 chains on U = N (w - m)' P (w - m) / 2; the bias of the step is of order lr."""
    precision = torch.tensor([[2.0, 0.8], [0.8, 1.0]])
    centre, num_data, lr = torch.tensor([1.0, -2.0]), 4, 0.05
    x, y = torch.zeros(5000), torch.zeros(5000)
    for step in range(250):
        gap = torch.stack((x - centre[0], y - centre[1]))
        grad = precision @ gap
        sgld_step_(
            [x, y],
            [grad[0], grad[1]],
            ids=[0, 1],
            lr=lr,
            weight_decay=0.0,
            mode="posterior",
            num_data=num_data,
            seed=3,
            step=step,
        )
    chains = torch.stack((x, y))
    exact = torch.linalg.inv(precision @ (torch.eye(2) - lr / 2 * precision)) / num_data
    torch.testing.assert_close(chains.mean(1), centre, rtol=0, atol=0.03)
    torch.testing.assert_close(torch.cov(chains), exact, rtol=0.06, atol=0.01)


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("sizes", [[3], [0, 5, 200]], ids=str)
def test_opcheck(sizes, relative):
    arguments = (tensors(sizes), tensors(sizes, seed=1))
    numbers = (list(range(len(sizes))), 0.1, 0.01, 0.5, relative, 1, 2)
    opcheck(torch.ops.stnas.sgld_step_.default, (*arguments, *numbers))


def test_opcheck_of_the_generators():
    opcheck(torch.ops.stnas.standard_normal_.default, (torch.empty(200), 1, 2, 3))
    words = torch.empty(200, dtype=torch.int32)
    opcheck(torch.ops.stnas.random_words_.default, (words, 1, 2, 3, 4))


def test_the_noise_added_is_standard_normal():
    value = torch.zeros(1000)
    options = {**NOISE, "lr": 0.5, "weight_decay": 0.0}
    sgld_step_([value], [torch.zeros(1000)], ids=[9], mode="literal", **options)
    assert torch.equal(value, standard_normal(1000, seed=5, step=6, tensor=9))
