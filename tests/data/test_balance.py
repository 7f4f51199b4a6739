"""Choice of rows class by class, and permutations that are pure functions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stnas.data import epoch_order
from stnas.data.balance import fewer, held_out, limited
from stnas.data.order import Stream, permutation

GOLDEN = [0, 1, 7, 2, 6, 3, 5, 4]
LABELS = st.lists(st.integers(0, 4), min_size=10, max_size=80).map(
    lambda tail: np.array([0, 1, 2, 3, 4] * 2 + tail, dtype=np.int64)
)


@given(LABELS, st.integers(5, 100))
def test_a_limit_gives_equal_classes_as_far_as_they_reach(labels, limit):
    rows = limited(labels, limit=limit, name="data.train_limit")
    assert len(rows) == min(limit, len(labels))
    assert (np.diff(rows) > 0).all()
    have, taken = np.bincount(labels), np.bincount(labels[rows], minlength=5)
    short = taken < have
    if short.any():
        assert taken[short].max() - taken[short].min() <= 1
        assert (taken[~short] <= taken[short].min() + 1).all()


def test_a_limit_on_balanced_classes_is_exactly_balanced():
    labels = np.repeat(np.arange(10), 50)
    assert np.bincount(labels[limited(labels, limit=200, name="n")]).tolist() == [20] * 10


def test_no_limit_and_a_large_one_keep_all_rows_in_order():
    labels = np.array([1, 0, 1, 0])
    for limit in (None, 4, 99):
        assert limited(labels, limit=limit, name="n").tolist() == [0, 1, 2, 3]


def test_a_limit_below_the_number_of_classes_is_refused():
    with pytest.raises(ValueError, match=r"data\.test_limit must be .* classes, 3, got 2: raise"):
        limited(np.array([0, 1, 2]), limit=2, name="data.test_limit")


@given(LABELS, st.floats(0.01, 0.99), st.integers(0, 2**63))
def test_every_class_holds_out_its_share_and_keeps_an_image(labels, share, seed):
    kept, held = held_out(labels, share=share, stream=Stream.VALIDATION, seed=seed)
    assert np.array_equal(np.sort(np.concatenate([kept, held])), np.arange(len(labels)))
    have, out = np.bincount(labels), np.bincount(labels[held], minlength=5)
    assert (np.abs(out - share * have) <= 1).all()
    assert ((out >= 1) & (out < have)).all()


def test_the_seed_decides_what_is_held_out():
    labels = np.repeat(np.arange(3), 40)
    first, again, other = (
        held_out(labels, share=0.25, stream=Stream.VALIDATION, seed=seed)[1] for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_small_classes_are_counted_by_name():
    labels, names = np.array([0, 0, 1, 3]), ("ant", "bee", "cow", "dog")
    assert fewer(labels, names, least=2) == "1 in bee, 0 in cow, 1 in dog"
    assert fewer(labels, names, least=0) == ""
    assert fewer(np.array([0]), [str(c) for c in range(12)], least=2).endswith(
        " and 4 more classes"
    )


@given(st.integers(0, 300), st.integers(0, 2**64 - 1), st.integers(0, 2**40))
def test_an_epoch_is_a_permutation_and_a_pure_function(n, seed, epoch):
    order = epoch_order(n, seed=seed, epoch=epoch)
    assert order.dtype == torch.int64
    assert torch.equal(order.sort().values, torch.arange(n))
    assert torch.equal(order, epoch_order(n, seed=seed, epoch=epoch))


def test_epochs_seeds_and_streams_differ():
    orders = [
        epoch_order(50, seed=0, epoch=0),
        epoch_order(50, seed=0, epoch=1),
        epoch_order(50, seed=1, epoch=0),
        torch.from_numpy(permutation(50, stream=Stream.TEST)),
    ]
    assert len({tuple(order.tolist()) for order in orders}) == len(orders)


def test_orders_stay_the_same_from_release_to_release():
    assert epoch_order(8, seed=3, epoch=5).tolist() == GOLDEN


def test_every_place_is_equally_likely():
    first = np.array([epoch_order(5, seed=0, epoch=e)[0].item() for e in range(2000)])
    chi2 = ((np.bincount(first, minlength=5) - 400) ** 2 / 400).sum()
    assert chi2 < 18.5


@pytest.mark.parametrize(
    ("n", "seed", "epoch"), [(-1, 0, 0), (3, -1, 0), (3, 2**64, 0), (3, 0, -1)]
)
def test_numbers_out_of_range_are_refused(n, seed, epoch):
    with pytest.raises(ValueError, match=r"must .*got .*: give"):
        epoch_order(n, seed=seed, epoch=epoch)
