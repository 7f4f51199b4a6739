"""Channels searched beside kinds: the published network, its tuples, and wrong scales."""

import numpy as np
import pytest

from stnas.space import SearchSpace
from stnas.space.sampling import make_sampler
from stnas.space.warmup import WarmUp

ALL_SCALES = (2, 4, 6, 8, 10, 12, 14, 16)
KINDS = (0, 0, 3, 1, 1, 1, 0, 0, 2, 0, 2, 1, 1, 0, 2, 0, 2, 1, 3, 2)
IDS = (6, 5, 3, 5, 2, 6, 3, 4, 2, 5, 7, 5, 4, 6, 7, 4, 4, 5, 4, 3)
IMAGENET = SearchSpace.profile("imagenet", family="spos", scales=ALL_SCALES)
NANO = SearchSpace.profile("nano", family="spos", scales=(6, 8, 10))


@pytest.mark.parametrize("text", [f"{KINDS}, {IDS}", f"({KINDS},{IDS})", f"[{KINDS}, {IDS},]"])
def test_the_published_network_of_blocks_and_channels_costs_328m(text):
    genes = IMAGENET.parse(text)
    assert genes.tolist() == [8 * kind + place for kind, place in zip(KINDS, IDS, strict=True)]
    assert (IMAGENET.madds([genes])[0], IMAGENET.params([genes])[0]) == (327_857_920, 3_432_579)
    assert IMAGENET.num_architectures == 32**20


def test_a_scaled_space_keeps_the_counts_of_blocks_at_their_usual_width():
    plain = SearchSpace.profile("imagenet", family="spos")
    usual = [8 * kind + ALL_SCALES.index(10) for kind in KINDS]
    assert IMAGENET.madds([usual])[0] == plain.madds([KINDS])[0] == 318_729_024
    assert IMAGENET.params([usual])[0] == plain.params([KINDS])[0]


def test_texts_belong_to_the_scales_that_they_were_written_with():
    genes = NANO.parse("(0, 1, 2, 3, 0, 1), (2, 3, 4, 2, 3, 4)")
    assert NANO.describe(genes)[1] == "v2 -> v3 stem shuffle5x0.8"
    assert NANO.parse(NANO.format(genes)).tolist() == genes.tolist()
    assert SearchSpace.from_json(NANO.recipe) == NANO
    with pytest.raises(ValueError, match=r"must belong to this space"):
        SearchSpace.profile("nano", family="spos", scales=(6, 8, 12)).parse(NANO.format(genes))
    with pytest.raises(ValueError, match=r"must belong to this space"):
        SearchSpace.profile("nano", family="spos").parse(NANO.format(genes))


def test_spaces_without_scales_keep_their_recipe():
    plain = SearchSpace.profile("nano", family="spos")
    assert "scales" not in plain.recipe
    assert SearchSpace.from_json(plain.recipe) == plain


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(0, 1, 2, 3, 0, 1)", r"must be two tuples .* write the kinds of all blocks"),
        ("(0, 1), (4, 4)", r"must have 6 kinds, one a block, got 2"),
        ("(0, 1, 2, 3, 0, 1), (4,)", r"must have 6 ids of scales, one a block, got 1"),
        ("(0, 1, 2, 3, 0, 4), (2, 2, 2, 2, 2, 2)", r"kinds among 0, 1, 2, 3 .* got 4"),
        ("(0, 1, 2, 3, 0, 1), (2, 2, 2, 2, 2, 7)", r"ids of scales among 2, 3, 4 .* got 7"),
    ],
)
def test_wrong_tuples_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        NANO.parse(text)


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ((8, 6), r"space.scales must rise without repeats, got \(8, 6\): write \(6, 8\)"),
        ((6, 6), r"space.scales must rise without repeats, got \(6, 6\): write \(6,\)"),
        ((0, 6), r"space.scales must be at least 1, got 0"),
        (tuple(range(2, 11)), r"space.scales must be at most 8, .* got 9: leave some out"),
        ((10, 11), r"space.scales must give blocks of different sizes, got 10 and 11 tenths"),
    ],
)
def test_wrong_scales_are_refused(scales, message):
    with pytest.raises(ValueError, match=message):
        SearchSpace.profile("nano", family="spos", scales=scales, widths=(16, 24, 32))


def test_a_scale_that_leaves_no_channel_is_refused_with_the_least_that_does():
    options = {"family": "spos", "stem_width": 4, "stages": (1,), "widths": (8,)}
    with pytest.raises(ValueError, match=r"must leave a channel of the 4 .* take 3 or more"):
        SearchSpace.profile("nano", scales=(2, 5), **options)
    assert SearchSpace.profile("nano", scales=(3, 5), **options).num_architectures == 8


def test_scales_enter_from_the_largest_down_and_are_uniform_among_those_that_are_there():
    law = make_sampler(NANO, "uniform", p_drop=0.5, seed=3)
    sampler = WarmUp(law, NANO, first=600, every=600, seed=3)
    drawn = np.array([sampler.genotype(step) for step in range(1800)])
    scale = drawn % 3
    assert (scale[:600] == 2).all()
    middle = np.bincount(scale[600:1200].reshape(-1), minlength=3)
    assert middle[0] == 0
    assert abs(middle[1] - 1800) < 5 * 30
    for step in (1200, 1500, 10**9):
        assert sampler.genotype(step).tolist() == law.genotype(step).tolist()
    kinds = np.bincount((drawn // 3).reshape(-1), minlength=4)
    assert (abs(kinds - 2700) < 5 * 45).all()
    assert sampler.genotype(700).tolist() == drawn[700].tolist()
