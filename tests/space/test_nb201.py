"""The cells of NAS-Bench-201: published counts, texts, and which of them are the same."""

from itertools import product

import numpy as np
import pytest

from stnas.config import SpaceConfig
from stnas.space import SearchSpace
from stnas.space.cells.nb201_text import EDGES, write

PAPER = SearchSpace.profile("paper", family="nb201")
CELLS = np.array(list(product(range(5), repeat=6)), np.int8)
RESNET = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"


def test_counts_are_the_formula_of_the_published_networks():
    small, large = (CELLS == 2).sum(1), (CELLS == 3).sum(1)
    wanted = 7_783_040 + 3_932_160 * (small + 9 * large)
    np.testing.assert_array_equal(PAPER.madds(CELLS), wanted)
    params = 73_306 + 28_000 * small + 243_040 * large
    np.testing.assert_array_equal(PAPER.params(CELLS), params)
    assert (len(set(wanted)), wanted.mean()) == (28, 54_968_960)


@pytest.mark.parametrize(
    ("genes", "madds", "params"),
    [
        ("303101", 78_561_920, 559_386),
        ("333132", 153_272_960, 1_073_466),
        ("333333", 220_119_680, 1_531_546),
    ],
)
def test_known_cells(genes, madds, params):
    row = PAPER.parse_digits(genes)[None]
    assert (PAPER.madds(row)[0], PAPER.params(row)[0]) == (madds, params)
    assert PAPER.madds_cost.expected(0.5) == 54_968_960


def published_rule(genes, *, zeros):
    """Return ``to_unique_str`` of the benchmark's code."""
    nodes = ["0"]
    for target in (1, 2, 3):
        words = []
        for (source, end), operation in zip(EDGES, genes, strict=True):
            if end != target:
                continue
            before = nodes[source]
            if zeros and (operation == 0 or before == "#"):
                words.append("#")
            else:
                words.append(before if operation == 1 else f"({before})@{operation}")
        nodes.append("+".join(sorted(words)))
    return nodes[-1]


def test_different_cells_by_the_published_rules_and_by_ours():
    keys = PAPER.canonical(CELLS)
    with_zeros = [published_rule(row, zeros=True) for row in CELLS.tolist()]
    skips_alone = [published_rule(row, zeros=False) for row in CELLS.tolist()]
    counts = [len(set(rule)) for rule in (CELLS.tobytes(), skips_alone, with_zeros, keys)][1:]
    assert (len(CELLS), *counts) == (15_625, 12_751, 6_466, 4_660)
    ours = dict(zip(with_zeros, keys, strict=True))
    assert all(ours[rule] == key for rule, key in zip(with_zeros, keys, strict=True))
    assert (~PAPER.is_useful(CELLS)).sum() == 341


def test_texts_both_ways():
    row = PAPER.parse_digits("303101")
    assert PAPER.parse(RESNET).tolist() == row.tolist()
    for genes in CELLS[::97]:
        assert PAPER.parse(write(genes)).tolist() == genes.tolist()
        assert PAPER.parse(PAPER.format(genes)).tolist() == genes.tolist()
    assert PAPER.parse("|none~0|+|skip_connect~1|none~0|+|none~2|none~0|none~1|").tolist() == [
        0, 0, 1, 0, 0, 0,
    ]  # fmt: skip
    other = SearchSpace.profile("micro", family="nb201", image_size=28, in_channels=1)
    assert other.parse(PAPER.format(row)).tolist() == row.tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RESNET.replace("nor_conv_3x3", "nor_conv_5x5"), "operations among .* got 'nor_conv_5x5'"),
        (RESNET.replace("skip_connect~2", "skip_connect~3"), "inputs below 3 for node 3, got"),
        (RESNET.replace("skip_connect~2", "skip_connect"), "inputs below 3 for node 3, got"),
        (RESNET.replace("none~0", "none~1", 1), "name each input of a node once"),
        (RESNET.rpartition("+")[0], "three nodes of 1, 2 and 3 operations"),
        ("303", r"must read nb1-"),
        ("(3, 0, 3)", "must have 6 numbers"),
        (PAPER.format(PAPER.parse(RESNET))[:-1] + "!", "must read nb1-"),
    ],
)
def test_wrong_texts_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        PAPER.parse(text)


def test_profiles_and_changes():
    micro = SearchSpace.profile("micro", family="nb201", image_size=28, in_channels=1)
    most = micro.madds_cost.most
    assert (most, len(micro.nodes)) == (9_590_208, 12)
    small = SearchSpace.profile("small", family="nb201", channels=4, cells=2, image_size=7)
    assert [node.resolution for node in small.nodes[::7]] == [7, 4, 2]
    assert SearchSpace.from_json(small.recipe) == small
    config = SpaceConfig(family="nb201", channels=8, cells=1)
    built = SearchSpace.from_config(config, image_size=32, in_channels=3, num_classes=10)
    assert built == SearchSpace.profile("micro", family="nb201")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 4}, "image_size must be at least 5"),
        ({"cells": 0}, "cells must be at least 1"),
        ({"channels": 2.5}, "channels must be an integer"),
        ({"widths": (3,)}, "changes to space must be among channels, cells"),
    ],
)
def test_wrong_descriptions_are_refused(changes, message):
    with pytest.raises((ValueError, TypeError), match=message):
        SearchSpace.profile("micro", family="nb201", **changes)
