"""The chain of SPOS: published counts, profiles, genotypes, and wrong descriptions."""

from ast import literal_eval

import numpy as np
import pytest

from stnas.config import SpaceConfig
from stnas.space import SearchSpace

IMAGENET = SearchSpace.profile("imagenet", family="spos")
PUBLISHED = (2, 1, 0, 1, 2, 0, 2, 0, 2, 0, 2, 3, 0, 0, 0, 0, 3, 2, 3, 3)
COUNTS = {
    PUBLISHED: (322_918_720, 3_558_464),
    (0,) * 20: (295_842_496, 3_154_880),
    (1,) * 20: (313_654_976, 3_211_968),
    (2,) * 20: (340_373_696, 3_297_600),
    (3,) * 20: (358_825_920, 3_870_816),
}
"""Multiply-adds and parameters; the first is the authors' network (323M, 3.5M in their README)."""
KINDS_OF_ONESHOT = (0, 0, 3, 1, 1, 1, 0, 0, 2, 0, 2, 1, 1, 0, 2, 0, 2, 1, 3, 2)
"""The authors' network with searched channels, whose blocks alone cost the paper's 319M."""
PROFILES = {
    # name: (least, mean, most) MAdds for 32x32x3 and for 28x28x1, mean parameters, networks
    "parity": ((21_996_800, 26_634_752, 32_466_176), (19_998_608, 23_896_940, 29_121_824), 4**20),
    "small": ((3_386_880, 4_331_008, 5_275_136), (2_659_488, 3_387_616, 4_148_384), 4**12),
    "micro": ((1_545_984, 2_018_176, 2_517_248), (1_195_968, 1_558_120, 1_957_232), 4**9),
    "nano": ((347_136, 439_872, 545_280), (264_300, 340_836, 431_124), 4**6),
}


@pytest.mark.parametrize("kinds", COUNTS, ids=lambda kinds: "".join(map(str, kinds)))
def test_counts_are_the_published_ones(kinds):
    row = np.array([kinds])
    assert (IMAGENET.madds(row)[0], IMAGENET.params(row)[0]) == COUNTS[kinds]


def test_the_blocks_of_the_network_with_searched_channels_cost_319m():
    assert IMAGENET.madds([KINDS_OF_ONESHOT])[0] == 318_729_024


def test_the_paper_s_space_has_4_to_the_20_networks_of_270_to_399m():
    assert IMAGENET.num_architectures == 1_099_511_627_776
    cost = IMAGENET.madds_cost
    found = (cost.least, IMAGENET.expected_madds(0.5), cost.most)
    assert found == (270_359_360, 327_174_272, 398_609_216)
    assert IMAGENET.madds_by_layer(np.array(PUBLISHED))["classifier"] == 1_024_000


@pytest.mark.parametrize("name", PROFILES)
def test_small_profiles_cost_what_their_table_says(name):
    large, small, networks = PROFILES[name]
    for wanted, images in ((large, {}), (small, {"image_size": 28, "in_channels": 1})):
        space = SearchSpace.profile(name, family="spos", **images)
        cost = space.madds_cost
        assert (cost.least, cost.expected(0.5), cost.most) == wanted
    assert space.num_architectures == networks


def test_the_mean_parameters_of_nano():
    assert SearchSpace.profile("nano", family="spos").params_cost.expected(0.5) == 35_506


def test_a_genotype_is_text_and_moves_between_sizes_of_images():
    text = IMAGENET.format(PUBLISHED)
    assert text.startswith(f"sp1-{IMAGENET.fingerprint}-21012020202300003233-")
    assert IMAGENET.parse(text).tolist() == list(PUBLISHED)
    other = SearchSpace.profile("imagenet", family="spos", image_size=160, num_classes=7)
    assert other.parse(text).tolist() == list(PUBLISHED)


@pytest.mark.parametrize("text", [str(PUBLISHED), str(list(PUBLISHED)), f" {PUBLISHED[:1] * 20} "])
def test_the_authors_tuples_are_read_too(text):
    assert IMAGENET.parse(text).tolist() == list(literal_eval(text.strip()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(2, 1, 0)", r"must have 20 numbers, one a gene, got 3"),
        (str((4,) * 20), r"\(block1\) must lie in \[0, 3\], got 4"),
        ("(1, 2", "must read"),
        ("(" + "1" * 5000 + ")", "must read"),
        ("__import__('os')", "must read"),
        (SearchSpace.profile("micro").format([0] * 21), "must belong to this space"),
        (SearchSpace.profile("nano", family="spos").format([0] * 6), "must belong to this space"),
    ],
)
def test_texts_of_other_networks_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        IMAGENET.parse(text)


def test_different_genotypes_are_different_networks():
    space = SearchSpace.profile("nano", family="spos")
    rows = np.array(np.unravel_index(np.arange(0, 4096, 7), (4,) * 6)).T
    assert len(set(space.canonical(rows))) == len(rows)


def test_a_recipe_builds_the_same_space():
    small = SearchSpace.profile("nano", family="spos", widths=(16, 32, 64), image_size=20)
    again = SearchSpace.from_json(dict(small.recipe))
    assert again == small
    assert again.fingerprint == small.fingerprint
    assert again.head.image_size == 20
    assert SearchSpace.profile("nano", family="spos").fingerprint != small.fingerprint


def test_the_configuration_names_the_family():
    images = {"image_size": 28, "in_channels": 1, "num_classes": 10}
    config = SpaceConfig(family="spos", profile="nano", stem_width=8, dropout=0.0)
    space = SearchSpace.from_config(config, **images)
    assert space.nodes[0].width == 8
    assert space.head.dropout == 0
    assert SearchSpace.from_config(SpaceConfig(profile="nano"), **images).recipe["version"] == 1


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"widths": (24, 24, 96)}, ValueError, "widths must rise .*, got 24 behind 24: .* 28"),
        ({"widths": (12, 48, 96)}, ValueError, "widths must rise .*, got 12 behind 12"),
        ({"widths": (24, 50, 96)}, ValueError, "widths must be of multiples of 4 .* 50: take 52"),
        ({"stem_width": 6}, ValueError, "stem_width must be of multiples of 4 .* 6: take 8"),
        ({"stages": (2, 2)}, ValueError, "widths must have one entry per stage"),
        ({"stages": (), "widths": ()}, ValueError, "widths must have one entry per stage"),
        ({"image_size": 8}, ValueError, "image_size must be at least 9 .*, got 8"),
        ({"tail_width": 1.5}, TypeError, "tail_width must be an integer"),
        ({"dropout": 1.0}, ValueError, r"dropout must lie in \[0, 1\)"),
        ({"kernels": (3,)}, ValueError, "with space.family spos, got 'kernels'"),
        ({"expands": (3,)}, ValueError, "with space.family spos, got 'expands'"),
    ],
)
def test_wrong_descriptions_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        SearchSpace.profile("nano", family="spos", **changes)


def test_the_smallest_image_is_not_refused():
    space = SearchSpace.profile("nano", family="spos", image_size=9)
    assert space.nodes[-1].resolution == 1


def test_families_are_told_apart():
    with pytest.raises(ValueError, match=r"space.family must be one of topology, .*, got 'chain'"):
        SearchSpace.profile("nano", family="chain")
    with pytest.raises(ValueError, match=r"space.family must be one of .*, got 'chain'"):
        SpaceConfig(family="chain")
    with pytest.raises(ValueError, match="got 'nas_bench_macro': correct"):
        SearchSpace.profile("nas_bench_macro", family="spos")
    with pytest.raises(ValueError, match="topology, got 'stem_width'"):
        SearchSpace.profile("nano", stem_width=8)


def test_a_chain_of_different_parts_needs_no_canonical_form_but_its_genes():
    assert IMAGENET.is_distinct
    assert IMAGENET.canonical([PUBLISHED]).tolist() == ["".join(map(str, PUBLISHED))]
    for name in ("micro", "nas_bench_macro"):
        assert not SearchSpace.profile(name).is_distinct
