"""The CUDA form of the SGLD step: the CPU form's bits, under every schedule."""

import copy

import pytest
import torch

from stnas.ops.sgld import reference as sgld_reference

# Every residue of the four elements of a 16-byte access, the edges of a group and of a part, more
# tensors than one launch takes.
SIZES = [0, 1, 2, 3, 4, 5, 63, 64, 65, 66, 127, 128, 129, 1000, 4095, 4096, 4099, *range(1, 55)]
NUMBERS = {"lr": 0.3, "weight_decay": 0.01}
KEY = (2**63 - 5, -6)


def tensors(sizes, *, dtype, seed, device):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, dtype=dtype, generator=generator).to(device) for size in sizes]


def step(ops, params, grads, *, noise, relative=False):
    ids = [7 * i for i in range(len(params))]
    ops.sgld_step_(params, grads, ids, *NUMBERS.values(), noise, relative, *KEY)


def assert_same(kernels, found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        if kernels.emulated:
            assert torch.equal(ours, theirs)
        else:
            torch.testing.assert_close(ours.cpu(), theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("noise", "relative"), [(0.0, False), (1.0, False), (0.4, True)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_it_has_the_bits_of_the_cpu_form(kernels, dtype, noise, relative):
    def both(device):
        return [tensors(SIZES, dtype=dtype, seed=seed, device=device) for seed in range(2)]

    expected = both("cpu")
    step(torch.ops.stnas, *expected, noise=noise, relative=relative)
    for _ in kernels.schedules():
        found = both(kernels.device)
        step(kernels.ops, *found, noise=noise, relative=relative)
        assert_same(kernels, found[0], expected[0])


def test_it_equals_its_twin(kernels):
    made = [
        tensors(SIZES, dtype=torch.float32, seed=seed, device=kernels.device) for seed in range(2)
    ]
    twins = copy.deepcopy(made)
    step(kernels.ops, *made, noise=(2 * 0.3) ** 0.5)
    ids = [7 * i for i in range(len(SIZES))]
    sgld_reference.sgld_step_(
        [w.cpu() for w in twins[0]],
        [g.cpu() for g in twins[1]],
        mode="literal",
        seed=KEY[0],
        step=KEY[1] + 2**64,
        ids=ids,
        **NUMBERS,
    )
    for ours, theirs in zip(made[0], twins[0], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("noise", "relative"), [(0.0, False), (0.4, False), (0.4, True)])
@pytest.mark.parametrize("shift", [0, 1, 2, 3])
def test_tensors_may_begin_anywhere(kernels, shift, noise, relative):
    """One tensor: what is written behind its part of the scratch memory lies behind all of it."""
    whole = tensors([1003] * 2, dtype=torch.float32, seed=shift, device=kernels.device)
    views = [part[shift : shift + 997] for part in whole]
    expected = [view.cpu() for view in copy.deepcopy(views)]
    around = whole[0].clone()
    step(kernels.ops, *([view] for view in views), noise=noise, relative=relative)
    step(torch.ops.stnas, *([view] for view in expected), noise=noise, relative=relative)
    assert_same(kernels, [views[0]], [expected[0]])
    assert torch.equal(whole[0][:shift], around[:shift])
    assert torch.equal(whole[0][shift + 997 :], around[shift + 997 :])


def test_a_slice_keeps_what_lies_between(kernels):
    around = torch.zeros(6, 8, device=kernels.device)
    plain = torch.zeros(6, 4)
    step(kernels.ops, [around[:, ::2]], [torch.ones(6, 4, device=kernels.device)], noise=0.4)
    step(torch.ops.stnas, [plain], [torch.ones(6, 4)], noise=0.4)
    assert_same(kernels, [around[:, ::2], around[:, 1::2]], [plain, torch.zeros(6, 4)])


@pytest.mark.parametrize(
    ("params", "grads", "ids", "message"),
    [
        ([torch.ones(3)], [torch.ones(4)], [0], r"grads\[0\] must have the shape of params\[0\]"),
        ([torch.ones(3)], [torch.ones(3).double()], [0], r"grads\[0\].*dtype of params\[0\]"),
        ([torch.ones(3).half()], [torch.ones(3).half()], [0], "must be float32 or float64"),
        ([torch.ones(9).as_strided((3, 3), (2, 1))], [torch.ones(3, 3)], [0], "elements overlap"),
        ([torch.ones(3)], [torch.ones(3)], [0, 1], "one length, got 1, 1 and 2"),
    ],
)
def test_bad_input_raises_what_the_cpu_form_raises(kernels, params, grads, ids, message):
    for ops, device in ((torch.ops.stnas, "cpu"), (kernels.ops, kernels.device)):
        lists = [[t.to(device) for t in given] for given in (params, grads)]
        if message == "elements overlap":
            lists[0] = [torch.ones(9, device=device).as_strided((3, 3), (2, 1))]
        with pytest.raises(ValueError, match=message):
            ops.sgld_step_(*lists, ids, 0.1, 0.0, 0.0, False, 0, 0)
        assert all(bool((param == 1).all()) for param in lists[0])


def test_tensors_that_share_memory_are_refused(kernels):
    value, grads = torch.ones(4, device=kernels.device), torch.ones(2, 3, device=kernels.device)
    with pytest.raises(ValueError, match="must not share memory"):
        step(kernels.ops, [value[:3], value[1:]], [*grads], noise=0.0)


def test_every_access_is_coalesced(checked):
    made = [tensors([8192], dtype=torch.float32, seed=seed, device="cpu") for seed in range(2)]
    step(checked.ops, *made, noise=0.4)
    rows = checked.traffic(memory="device")
    moved = sum(row["moved"] for row in rows)
    assert all(row["bytes"] == 16 for row in rows)
    assert moved == 3 * 8192 * 4
    assert sum(row["cost"] for row in rows) * 32 == moved
