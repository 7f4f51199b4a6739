"""Classes of unequal size: resampled epochs, weights of the loss, and what is said of them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stnas.config import DataConfig
from stnas.data import class_weights, describe_split, epoch_order, epoch_rows, load, unequal_classes
from stnas.data.order import resampled

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=120).map(
    lambda values: np.array(values, dtype=np.int64)
)
RESAMPLING = DataConfig(balance="resampling")


@given(LABELS, st.integers(0, 2**64 - 1), st.integers(0, 2**40))
def test_a_resampled_epoch_has_equally_many_of_each_class(labels, seed, epoch):
    rows = resampled(labels, seed=seed, index=epoch)
    assert len(rows) == len(labels)
    classes = np.unique(labels)
    counts = np.bincount(labels[rows])[classes]
    assert counts.max() - counts.min() <= 1
    for own, members in ((c, np.flatnonzero(labels == c)) for c in classes):
        times = np.bincount(rows, minlength=len(labels))[members]
        assert times.max() - times.min() <= 1
        assert times.sum() == counts[list(classes).index(own)]
    assert np.array_equal(rows, resampled(labels, seed=seed, index=epoch))


def test_an_epoch_of_equal_classes_is_a_permutation():
    labels = np.arange(60) % 3
    rows = resampled(labels, seed=3, index=1)
    assert np.array_equal(np.sort(rows), np.arange(60))
    assert not np.array_equal(rows, resampled(labels, seed=3, index=2))
    assert not np.array_equal(rows, resampled(labels, seed=4, index=1))
    assert len(resampled(np.empty(0, np.int64))) == 0


def test_every_image_of_a_large_class_has_its_turn():
    labels = np.array([0] * 90 + [1] * 10)
    seen = {int(row) for epoch in range(20) for row in resampled(labels, index=epoch)}
    assert seen == set(range(100))


def test_places_are_as_likely_for_every_class():
    labels = np.array([0] * 9 + [1] * 3)
    first = [int(labels[resampled(labels, seed=7, index=epoch)[0]]) for epoch in range(1000)]
    assert 420 < sum(first) < 580


def test_without_resampling_the_order_is_that_of_the_epoch():
    labels = torch.tensor([0, 1, 1, 1, 1, 0])
    for balance in ("none", "weights"):
        config = DataConfig(balance=balance)
        found = epoch_rows(labels, config=config, seed=3, epoch=5)
        assert torch.equal(found, epoch_order(6, seed=3, epoch=5))
    rows = epoch_rows(labels, config=RESAMPLING, seed=3, epoch=5)
    assert labels[rows].sum() == 3


def test_weights_make_every_class_count_alike():
    labels = torch.tensor([0] * 6 + [1] * 3 + [2])
    weights = class_weights(labels, 3, config=DataConfig(balance="weights"))
    sums = torch.zeros(3).index_add(0, labels, weights[labels])
    torch.testing.assert_close(sums, torch.full((3,), 10 / 3))
    assert class_weights(labels, 3, config=RESAMPLING) is None


def unequal_set(tmp_path, counts):
    path = tmp_path / "set.npz"
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 6, 6), dtype=np.uint8)
    names = np.array(["ant", "bee", "cow"][: len(counts)])
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels, classes=names)
    return load(DataConfig(path=str(path)), seed=0)


def test_the_division_is_said_with_its_smallest_classes(tmp_path):
    data = unequal_set(tmp_path, (40, 20, 10))
    assert describe_split(data) == (
        "images: 63 to train on (fewest: 9 of cow), 7 held out for the search (fewest: 1 of cow), "
        "70 to test with (fewest: 10 of cow)"
    )


@pytest.mark.parametrize(("counts", "warned"), [((40, 19), True), ((40, 21), False)])
def test_unequal_classes_are_warned_of_once_nothing_is_done(tmp_path, counts, warned):
    data = unequal_set(tmp_path, counts)
    text = unequal_classes(data, DataConfig())
    assert (text is not None) == warned
    if text is not None:
        assert "40 of ant and 19 of bee" in text
        assert "--data.balance resampling" in text
    assert unequal_classes(data, RESAMPLING) is None
