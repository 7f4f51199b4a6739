"""Augmentation and normalisation, against loops over single images."""

import pytest
import torch

from stnas.config.data import DataConfig
from stnas.data import Split, eval_batch, train_batch
from stnas.ops.images import normalise

PLAIN = DataConfig(path="embedded", crop_padding=0, flip=False)


def make_split(n=12, channels=1, size=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, channels, size, size), generator=generator).to(torch.uint8)
    return Split(images, torch.arange(n) % 3)


def batch(split, indices, *, seed=0, **options):
    channels = split.images.shape[1]
    return train_batch(
        split,
        indices,
        mean=[0.0] * channels,
        std=[1.0] * channels,
        config=DataConfig(**{"crop_padding": 0, "flip": False, **options}),
        generator=torch.Generator().manual_seed(seed),
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("padding", [1, 4, 9])
def test_crop_and_mirror_equal_a_loop_over_images(channels, padding):
    split, rows = make_split(channels=channels), torch.tensor([5, 0, 5, 11, 7])
    images, labels = batch(split, rows, crop_padding=padding, flip=True, seed=3)
    generator = torch.Generator().manual_seed(3)
    tops, lefts = torch.randint(0, 2 * padding + 1, (2, 5), generator=generator)
    mirrored = torch.rand((5, 1, 1, 1), generator=generator).flatten() < 0.5
    for i, row in enumerate(rows):
        padded = torch.zeros(channels, 9 + 2 * padding, 9 + 2 * padding)
        padded[:, padding : padding + 9, padding : padding + 9] = split.images[row] / 255
        expected = padded[:, tops[i] : tops[i] + 9, lefts[i] : lefts[i] + 9]
        expected = expected.flip(2) if mirrored[i] else expected
        torch.testing.assert_close(images[i], expected)
    assert torch.equal(labels, split.labels[rows])


def test_every_window_and_both_mirrorings_occur():
    split = Split(torch.arange(16, dtype=torch.uint8).reshape(1, 1, 4, 4), torch.zeros(1).long())
    images, _ = batch(split, torch.zeros(2000).long(), crop_padding=1, flip=True)
    counts = torch.unique(images, dim=0, return_counts=True)[1]
    assert len(counts) == 18
    assert counts.min() > 60


@pytest.mark.parametrize("channels", [1, 3])
def test_jitter_equals_a_loop_over_images(channels):
    split, rows = make_split(channels=channels), torch.arange(6)
    images, _ = batch(split, rows, jitter=0.4, seed=5)
    factors = torch.rand((3, 6), generator=torch.Generator().manual_seed(5)) * 0.8 + 0.6
    for i in range(6):
        expected = (split.images[i] / 255 * factors[0, i]).clamp(0, 1)
        centre = expected.mean()
        expected = (centre + (expected - centre) * factors[1, i]).clamp(0, 1)
        if channels == 3:
            luma = 0.299 * expected[0] + 0.587 * expected[1] + 0.114 * expected[2]
            expected = (luma + (expected - luma) * factors[2, i]).clamp(0, 1)
        torch.testing.assert_close(images[i], expected)


def test_the_generator_decides_everything():
    split, rows = make_split(n=40), torch.arange(40)
    options = {"crop_padding": 2, "flip": True, "jitter": 0.2}
    first, again, other = (batch(split, rows, seed=seed, **options)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_nothing_is_drawn_for_what_is_off():
    generator = torch.Generator().manual_seed(7)
    before = generator.get_state()
    split = make_split()
    train_batch(split, torch.arange(3), mean=[0.0], std=[1.0], config=PLAIN, generator=generator)
    assert torch.equal(generator.get_state(), before)


def test_the_split_is_left_untouched():
    split = make_split()
    before = split.images.clone()
    images, labels = batch(split, torch.arange(12), crop_padding=3, flip=True, jitter=0.5)
    images.zero_()
    labels.zero_()
    assert torch.equal(split.images, before)
    assert split.labels.max() == 2


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("jitter", [0.0, 0.3])
def test_batches_are_float_and_channels_last(channels, jitter):
    images, labels = batch(make_split(channels=channels), torch.arange(4), jitter=jitter)
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert images.stride() == (81 * channels, 1, 9 * channels, channels)


def test_normalisation_follows_its_formula():
    split = make_split(channels=3)
    mean, std = [0.1, 0.5, 0.9], [0.2, 0.3, 0.4]
    expected = split.images.double() / 255
    expected = (expected - torch.tensor(mean).double()[:, None, None]) / torch.tensor(std).double()[
        :, None, None
    ]
    actual = normalise(split.images, mean=mean, std=std)
    torch.testing.assert_close(actual.double(), expected, rtol=1e-5, atol=1e-5)
    images, labels = eval_batch(split, 3, 8, mean=mean, std=std)
    assert torch.equal(images, actual[3:8])
    assert torch.equal(labels, split.labels[3:8])


def test_training_without_augmentation_equals_evaluation():
    split = make_split()
    plain, _ = train_batch(
        split, torch.arange(2, 5), mean=[0.3], std=[0.7], config=PLAIN, generator=torch.Generator()
    )
    assert torch.equal(plain, eval_batch(split, 2, 5, mean=[0.3], std=[0.7])[0])


@pytest.mark.parametrize("count", [0, 1])
def test_empty_and_single_batches_work(count):
    images, labels = batch(make_split(), torch.arange(count), crop_padding=2, flip=True, jitter=0.1)
    assert images.shape == (count, 1, 9, 9)
    assert labels.shape == (count,)


def test_an_evaluation_batch_may_end_behind_the_split():
    assert len(eval_batch(make_split(n=12), 10, 20, mean=[0.0], std=[1.0])[1]) == 2


def test_rows_that_do_not_exist_are_refused():
    with pytest.raises(IndexError):
        batch(make_split(n=3), torch.tensor([3]))


def test_statistics_of_another_number_of_channels_are_refused():
    with pytest.raises(ValueError, match="one number for each of the 3 channels, got 1 and 1: "):
        normalise(make_split(channels=3).images, mean=[0.5], std=[0.5])
