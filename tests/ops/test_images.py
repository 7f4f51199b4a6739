"""Windows of images in one pass: against the plain form, bit by bit."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stnas.ops.images import Places, crop_mirror_normalise, normalise, windows

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZES = st.tuples(st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9), st.integers(0, 11))


def drawn(channels: int, height: int, width: int, *, count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (count, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def places(rows: Tensor, *, padding: int, seed: int, mirrors: bool = True) -> Places:
    generator = torch.Generator().manual_seed(seed)
    offsets = torch.randint(0, 2 * padding + 1, (2, len(rows)), generator=generator)
    mirrored = torch.rand(len(rows), generator=generator) < 0.5
    return Places(offsets if padding else None, mirrored if mirrors else None, padding)


@given(SIZES, st.integers(0, 12), st.booleans(), st.integers(0, 99))
def test_it_has_the_bits_of_the_plain_form(
    sizes: tuple[int, int, int, int], count: int, mirrors: bool, seed: int
) -> None:
    channels, height, width, padding = sizes
    images = drawn(channels, height, width, count=5, seed=seed)
    rows = torch.randint(0, 5, (count,), generator=torch.Generator().manual_seed(seed))
    where = places(rows, padding=padding, seed=seed, mirrors=mirrors)
    statistics: dict[str, Any] = {"mean": MEAN[:channels], "std": STD[:channels]}
    got = crop_mirror_normalise(images, rows, where, **statistics)
    want = normalise(windows(images[rows], where), **statistics)
    assert torch.equal(got, want)
    assert got.stride() == want.stride()


def test_threads_and_layout_change_no_bit() -> None:
    images = drawn(3, 64, 64, count=40, seed=0)
    rows = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    where = places(rows, padding=4, seed=2)
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            results.append(crop_mirror_normalise(images, rows, where, mean=MEAN, std=STD))
    finally:
        torch.set_num_threads(threads)
    last = images.contiguous(memory_format=torch.channels_last)
    results.append(crop_mirror_normalise(last, rows, where, mean=MEAN, std=STD))
    assert all(torch.equal(result, results[0]) for result in results)


@pytest.mark.parametrize("row", [-1, 5, 2**40])
def test_a_row_that_does_not_exist_is_an_index_error(row: int) -> None:
    with pytest.raises(IndexError, match=rf"rows must lie in \[0, 5\), got {row}"):
        crop_mirror_normalise(
            drawn(1, 4, 4, count=5, seed=0),
            torch.tensor([0, row]),
            Places(None, None, 0),
            mean=[0.5],
            std=[0.5],
        )


ONE = torch.zeros(2, 1, dtype=torch.int64)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"places": Places(ONE + 3, None, 1)}, r"offsets must lie in \[0, 2\], got 3"),
        ({"places": Places(ONE - 1, None, 1)}, r"offsets must lie in \[0, 2\], got -1"),
        ({"places": Places(ONE.int(), None, 1)}, "offsets must be int64"),
        ({"places": Places(torch.zeros(2, 3).long(), None, 1)}, "offsets must be int64 .* one for"),
        ({"places": Places(None, torch.zeros(1), 0)}, "mirrored must be bool"),
        ({"places": Places(None, torch.zeros(2).bool(), 0)}, "mirrored must be bool .* one for"),
        ({"places": Places(None, None, -1)}, "padding must be 0 or more, got -1"),
        ({"rows": torch.zeros(1)}, "rows must be int64"),
        ({"images": torch.zeros(1, 1, 4, 4)}, "images must be contiguous uint8"),
        ({"images": torch.zeros(1, 4, 4, dtype=torch.uint8)}, "images must be contiguous uint8"),
        ({"mean": [0.5, 0.5]}, "one number for each of the 1 channels, got 2 and 1"),
        ({"std": []}, "one number for each of the 1 channels, got 1 and 0"),
    ],
)
def test_bad_arguments_name_their_rule(change: dict[str, Any], rule: str) -> None:
    given_ones = {
        "images": drawn(1, 4, 4, count=1, seed=0),
        "rows": torch.zeros(1).long(),
        "places": Places(None, None, 0),
        "mean": [0.5],
        "std": [0.5],
    }
    with pytest.raises(ValueError, match=rule):
        crop_mirror_normalise(**{**given_ones, **change})


def test_the_operator_keeps_torchs_rules() -> None:
    rows = torch.tensor([1, 0, 1])
    where = places(rows, padding=2, seed=0)
    images = drawn(3, 5, 6, count=2, seed=0)
    operator = torch.ops.stnas.crop_mirror_normalise
    torch.library.opcheck(operator, (images, rows, *where, [0.5] * 3, [0.5] * 3))
