"""What the SGLD step refuses, through the public function; nothing moves when it does."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stnas.ops.sgld import sgld_step_, standard_normal

PLAIN = {"lr": 0.1, "weight_decay": 0.0, "mode": "literal", "seed": 0, "step": 0}


def step(params, grads, **changes):
    ids = changes.pop("ids", range(len(params)))
    sgld_step_(params, grads, **{**PLAIN, "ids": ids, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": -0.1}, r"lr must be finite and at least 0, got -0\.1"),
        ({"lr": float("nan")}, "lr must be finite"),
        ({"weight_decay": float("inf")}, "weight_decay must be finite"),
        ({"temperature": -1.0}, "temperature must be finite and at least 0"),
        ({"num_data": 0}, "num_data must be finite and at least 1, got 0"),
        ({"rho": -1.0}, "rho must be finite"),
        ({"steps_per_epoch": 0}, "steps_per_epoch must be finite and at least 1"),
        ({"mode": "hot"}, "mode must be posterior, relative, literal or none, got 'hot'"),
        ({"seed": -1}, r"seed must lie in \[0, 2\^64\), got -1"),
        ({"seed": 2**64}, "seed must lie in"),
        ({"step": -1}, "step must lie in"),
        ({"ids": [0, -1]}, r"ids must lie in \[0, 2\^32\), got -1 to 0"),
        ({"ids": [0, 2**32]}, "ids must lie in"),
        ({"ids": [4, 4]}, r"ids must differ.*\[4, 4\]"),
        ({"ids": [4]}, "one length, got 2, 2 and 1"),
    ],
)
def test_numbers_and_lists(changes, message):
    params = [torch.ones(3), torch.ones(3)]
    with pytest.raises(ValueError, match=message):
        step(params, [torch.ones(3), torch.ones(3)], **changes)
    assert all(torch.equal(p, torch.ones(3)) for p in params)


SHARED = torch.ones(10)


@pytest.mark.parametrize(
    ("params", "grads", "message"),
    [
        ([torch.ones(3)], [torch.ones(4)], r"grads\[0\] must have the shape of params\[0\]"),
        ([torch.ones(3)], [torch.ones(3, 1)], r"grads\[0\] must have the shape"),
        ([torch.ones(3)], [torch.ones(3).double()], r"grads\[0\].*dtype of params\[0\]"),
        ([torch.ones(3).half()], [torch.ones(3).half()], r"params\[0\] must be float32 or float64"),
        ([torch.ones(3, dtype=int)], [torch.ones(3, dtype=int)], "must be float32 or float64"),
        ([torch.ones(1).expand(3)], [torch.ones(3)], r"params\[0\].*elements overlap"),
        ([torch.ones(9).as_strided((3, 3), (2, 1))], [torch.ones(3, 3)], "elements overlap"),
        (
            [SHARED[:3], SHARED[:3]],
            [torch.ones(3), torch.ones(3)],
            r"params\[\d\] and params\[\d\] must not share memory",
        ),
        ([SHARED[:6], SHARED[4:]], [torch.ones(6), torch.ones(6)], "must not share memory"),
        ([SHARED[:6]], [SHARED[1:7]], r"params\[0\] and grads\[0\] must not share memory"),
        ([torch.ones(3), SHARED[:3]], [SHARED[2:5], torch.ones(3)], "must not share memory"),
        (
            [torch.ones(3)],
            [torch.ones(3, device="meta")],
            r"grads\[0\] must be on the CPU, got meta",
        ),
    ],
)
def test_tensors(params, grads, message):
    with pytest.raises(ValueError, match=message):
        step(params, grads)
    assert all(bool((p == 1).all()) for p in params)


def test_a_wrong_tensor_at_the_end_leaves_the_first_alone():
    first = torch.ones(3)
    with pytest.raises(ValueError, match=r"grads\[1\]"):
        step([first, torch.ones(3)], [torch.ones(3), torch.ones(4)])
    assert torch.equal(first, torch.ones(3))


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 3), st.integers(0, 5), st.integers(1, 4)),
        min_size=2,
        max_size=4,
    )
)
def test_parameters_share_memory_where_they_have_an_element_in_common(views):
    """Rows of numbers that lie apart: start, rows, numbers in a row, and the stride of these."""
    base, numbers = torch.ones(100), torch.arange(100)
    shapes = [((rows, columns), (20, stride), start) for start, rows, columns, stride in views]
    params = [base.as_strided(*shape) for shape in shapes]
    places = [place for shape in shapes for place in numbers.as_strided(*shape).flatten().tolist()]
    grads = [torch.ones_like(param) for param in params]
    if len(set(places)) == len(places):
        step(params, grads)
        assert int((base != 1).sum()) == len(places)
    else:
        with pytest.raises(ValueError, match="must not share memory"):
            step(params, grads)
        assert torch.equal(base, torch.ones(100))


def test_a_gradient_may_be_its_own_parameter():
    value = torch.full((7,), 2.0)
    step([value], [value], lr=0.25, mode="none")
    assert torch.equal(value, torch.full((7,), 1.5))


def test_generators_refuse_what_they_cannot_fill():
    with pytest.raises(ValueError, match="seed must lie in"):
        standard_normal(3, seed=-1, step=0, tensor=0)
    with pytest.raises(ValueError, match="out must be a contiguous tensor of float32"):
        torch.ops.stnas.standard_normal_(torch.empty(3).double(), 0, 0, 0)
    with pytest.raises(ValueError, match="out must be a contiguous tensor of int32"):
        torch.ops.stnas.random_words_(torch.empty(3), 0, 0, 0, 0)
