"""What each batch of streamed images is made of: order, shares of the ranks, windows."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stnas.config import DataConfig
from stnas.data import FileSplit, evaluation_requests, part, training_requests
from stnas.data.order import Stream, uniforms
from stnas.data.windows import ATTEMPTS, NUMBERS, centre_windows, random_windows

counts, sizes = st.integers(1, 60), st.integers(1, 17)
worlds, epochs = st.integers(1, 5), st.integers(0, 3)


def make_split(count, **options):
    config = DataConfig(backend="pillow", image_size=32, jitter=0.3, **options)
    shapes = np.random.default_rng(count).integers(5, 90, (count, 2))
    files = tuple(Path(f"{i}.jpg") for i in range(count))
    special = np.zeros(count, dtype=np.bool_)
    return FileSplit(files, shapes, shapes, special, torch.arange(count), config)


def epoch_of(split, *, size, epoch=0, world=1, start=0, seeds=(1, 2)):
    """Return the rows (file, label, window, mirror, factors) of every rank's batches."""
    orders, augments = seeds
    options = {"order_seed": orders, "augment_seed": augments, "epoch": epoch, "start": start}
    return [
        [
            row
            for request in training_requests(split, size=size, rank=rank, world=world, **options)
            for row in zip(
                request.files,
                request.labels.tolist(),
                map(tuple, request.windows.tolist()),
                request.mirror.tolist(),
                map(tuple, request.factors.T.tolist()),
                strict=True,
            )
        ]
        for rank in range(world)
    ]


@given(counts, sizes, worlds, epochs)
def test_every_image_is_in_one_batch_of_one_rank_and_is_augmented_alike(n, size, world, epoch):
    split = make_split(n)
    ranks = epoch_of(split, size=size, epoch=epoch, world=world)
    together = sorted(itertools.chain(*ranks))
    assert sorted(int(row[0].stem) for row in together) == list(range(n))
    assert all(int(row[0].stem) == row[1] for row in together)
    assert together == sorted(epoch_of(split, size=n, epoch=epoch)[0])


@given(counts, sizes, worlds, st.integers(0, 70))
def test_the_parts_of_a_batch_in_order_are_the_batch(n, size, world, start):
    split = make_split(n)
    (whole,) = epoch_of(split, size=size, start=start)
    assert whole == epoch_of(split, size=size)[0][start * size :]
    batches = [whole[i : i + size] for i in range(0, len(whole), size)]
    ranks = [iter(rows) for rows in epoch_of(split, size=size, start=start, world=world)]
    for batch in batches:
        shares = [part(len(batch), rank=rank, world=world) for rank in range(world)]
        got = [next(rows) for rows, own in zip(ranks, shares, strict=True) for _ in batch[own]]
        assert got == batch


@given(counts, sizes, worlds)
def test_evaluation_takes_every_image_once_in_order(n, size, world):
    split = make_split(n)
    cuts = [list(evaluation_requests(split, size=size, rank=r, world=world)) for r in range(world)]
    files = [
        request.files
        for row in itertools.zip_longest(*cuts)
        for request in row
        if request is not None
    ]
    assert tuple(itertools.chain(*files)) == split.files
    assert all(len(some) == size for some in files[:-1])
    assert all(not r.mirror.any() and r.factors is None for cut in cuts for r in cut)


def test_epochs_and_seeds_differ():
    split = make_split(40)
    runs = [epoch_of(split, size=8, epoch=e, seeds=s) for e, s in ((0, (1, 2)), (1, (1, 2)))]
    assert runs[0] != runs[1]
    other = epoch_of(split, size=8, seeds=(1, 3))
    assert [row[:2] for row in other[0]] == [row[:2] for row in runs[0][0]]
    assert [row[2:] for row in other[0]] != [row[2:] for row in runs[0][0]]


def test_what_is_off_stays_off():
    split = make_split(30, flip=False)
    rows = epoch_of(split, size=7)[0]
    assert not any(row[3] for row in rows)
    assert all(0.7 <= factor <= 1.3 for row in rows for factor in row[4])


def one_window(height, width, numbers, scale):
    """Draw a window as the text says it, for one image, in plain arithmetic."""
    for share, ratio in zip(numbers[:ATTEMPTS], numbers[ATTEMPTS : 2 * ATTEMPTS], strict=True):
        area = height * width * (scale[0] + (scale[1] - scale[0]) * share)
        aspect = math.exp(math.log(3 / 4) + (math.log(4 / 3) - math.log(3 / 4)) * ratio)
        wide, tall = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 1 <= wide <= width and 1 <= tall <= height:
            top = int(numbers[-2] * (height - tall + 1))
            left = int(numbers[-1] * (width - wide + 1))
            return top, left, top + tall, left + wide
    wide, tall = (
        min(width, max(1, round(height * 4 / 3))),
        min(height, max(1, round(width * 4 / 3))),
    )
    top, left = (height - tall + 1) // 2, (width - wide + 1) // 2
    return top, left, top + tall, left + wide


@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.9, 1.0), (1e-4, 1e-3)], ids=str)
def test_random_windows_equal_a_loop_and_lie_in_their_image(scale):
    rng = np.random.default_rng(0)
    shapes = np.concatenate((rng.integers(1, 400, (500, 2)), [[1, 300], [300, 1], [1, 1]]))
    numbers = rng.random((len(shapes), NUMBERS))
    windows = random_windows(shapes, numbers, scale=scale)
    expected = [
        one_window(h, w, row, scale) for (h, w), row in zip(shapes.tolist(), numbers, strict=True)
    ]
    np.testing.assert_array_equal(windows, expected)
    assert (windows[:, :2] >= 0).all()
    assert (windows[:, 2:] <= shapes).all()
    assert (windows[:, 2:] > windows[:, :2]).all()


def test_the_centre_window_is_the_share_of_the_shorter_side():
    windows = centre_windows(np.array([[256, 300], [64, 32]]), resize=256, image_size=224)
    np.testing.assert_array_equal(windows, [[16, 38, 240, 262], [18, 2, 46, 30]])


@given(st.integers(0, 50), st.integers(0, 50))
def test_the_numbers_of_an_item_do_not_depend_on_the_others(start, count):
    options = {"width": 8, "stream": Stream.AUGMENT, "seed": 5, "index": 9}
    whole = uniforms(0, 100, **options)
    np.testing.assert_array_equal(uniforms(start, count, **options), whole[start : start + count])
    assert whole.min() >= 0.0
    assert whole.max() < 1.0
    assert abs(whole.mean() - 0.5) < 0.05


@pytest.mark.parametrize(("rank", "world"), [(-1, 2), (2, 2), (0, 0)])
def test_ranks_that_do_not_exist_are_refused(rank, world):
    with pytest.raises(ValueError, match=rf"rank must lie in \[0, {world}\), got {rank}: "):
        part(8, rank=rank, world=world)
