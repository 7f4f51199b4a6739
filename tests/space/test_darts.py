"""The cells of DARTS: published counts and texts, levels of sharing, and the derived cell."""

from math import comb

import numpy as np
import pytest

from stnas.space import SearchSpace
from stnas.space.cells.darts_text import write
from stnas.space.cells.sharing import explained, module_counts

LARGE = SearchSpace.profile("paper_large", family="darts")
V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
    "('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), "
    "('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
    "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)
PC = (
    "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 0), "
    "('dil_conv_3x3', 1), ('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), "
    "('dil_conv_3x3', 1)], normal_concat=range(2, 6), reduce=[('sep_conv_5x5', 1), "
    "('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_5x5', 2), ('sep_conv_3x3', 0), "
    "('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2)], reduce_concat=range(2, 6))"
)
MODULES = {
    # relu, depthwise, pointwise and bn behind it, pools of a normal cell
    "none": (84, 84, 84, 28),
    "prefix": (33, 84, 84, 10),
    "suffix": (19, 84, 42, 10),
    "merge": (19, 42, 42, 10),
    "float": (19, 42, 28, 10),
}
MADDS = {
    "none": (300_255_744, 30_897_152),
    "prefix": (300_255_744, 30_897_152),
    "suffix": (212_175_360, 24_574_976),
    "merge": (185_854_464, 20_426_048),
    "float": (156_494_336, 18_318_656),
}
"""Of C16 L8 at 32x32x3, and of C8 L3 at 28x28x1."""


@pytest.mark.parametrize(
    ("text", "madds", "params"), [(V2, 528_359_040, 3_349_342), (PC, 556_670_592, 3_634_678)]
)
def test_published_networks(text, madds, params):
    row = LARGE.parse(text)[None]
    assert (LARGE.madds(row)[0], LARGE.params(row)[0]) == (madds, params)


def test_the_number_of_cells():
    kind = np.prod([comb(node, 2) * 49 for node in (2, 3, 4, 5)])
    assert kind == 1_037_664_180
    assert LARGE.num_architectures == int(kind) ** 2


def test_texts_both_ways():
    row = LARGE.parse(V2)
    assert LARGE.parse(write(row)).tolist() == row.tolist()
    assert LARGE.parse(LARGE.format(row)).tolist() == row.tolist()
    for other in LARGE.sample(20, p_drop=0.5, seed=1):
        assert LARGE.parse(write(other)).tolist() == other.tolist()
    swapped = V2.replace(
        "('sep_conv_3x3', 1), ('skip_connect', 0)", "('skip_connect', 0), ('sep_conv_3x3', 1)"
    )
    assert LARGE.parse(swapped).tolist() == row.tolist()
    micro = SearchSpace.profile("micro", family="darts", image_size=28, in_channels=1)
    assert micro.parse(LARGE.format(row)).tolist() == row.tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (V2.replace("sep_conv_3x3", "sep_conv_9x9", 1), "operations among max_pool_3x3"),
        (V2.replace("sep_conv_3x3", "none", 1), "operations among max_pool_3x3"),
        (V2.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3', 2)", 1), "inputs below 2 for node 2"),
        (V2.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3', True)", 1), "inputs below 2"),
        (V2.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3', 1)", 1), "two different inputs"),
        (V2.replace("('sep_conv_3x3', 0), ", "", 1), "8 pairs .* as normal, got 7"),
        (V2.replace("[2, 3, 4, 5]", "[3, 4, 5]", 1), r"normal_concat \[2, 3, 4, 5\], got"),
        (V2.replace("normal=", "other="), "8 pairs .* as normal, got None"),
        (V2.replace("('sep_conv_3x3', 0)", "__import__('os').getcwd()", 1), "must read Genotype"),
        (V2[:-3], "must read Genotype"),
        ("Genotype(1, 2)", "8 pairs"),
    ],
)
def test_wrong_texts_are_refused_and_nothing_is_run(text, message):
    with pytest.raises(ValueError, match=message):
        LARGE.parse(text)


@pytest.mark.parametrize("level", MODULES)
def test_levels_of_sharing(level):
    paper = SearchSpace.profile("paper", family="darts").mixture
    micro = SearchSpace.profile("micro", family="darts", image_size=28, in_channels=1).mixture
    assert (paper.madds(level), micro.madds(level)) == MADDS[level]
    found = module_counts(paper.edges[:14], level)
    pools = found["maximum"] + found["average"]
    assert (found["relu"], found["depthwise"], found["pointwise"], pools) == MODULES[level]
    assert found["bn"] == found["pointwise"]


def test_an_edge_is_explained():
    mixture = LARGE.mixture
    lines = explained(mixture.edges[0], mixture.choices, "float")
    assert lines[-1].startswith("a(sep3+sep5+dil3+dil5) bn(pointwise([g(sep3+sep5) ")


def test_the_derived_cell_has_the_two_best_inputs_of_each_node():
    weights = np.full((28, 8), 0.1)
    weights[:, 0] = 0.9
    assert LARGE.mixture.names(LARGE.mixture.derive(weights)) == ["maximum"] * 16
    weights[4, 5] = 0.5
    weights[14 + 13, 7] = 0.3
    text = write(LARGE.mixture.derive(weights))
    assert "('max_pool_3x3', 0), ('sep_conv_5x5', 2)" in text
    assert text.endswith("('max_pool_3x3', 0), ('dil_conv_5x5', 4)], reduce_concat=[2, 3, 4, 5])")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells": 2}, "space.cells must be at least 3"),
        ({"channels": 7}, "space.channels must be even .* take 8"),
        ({"image_size": 4}, "space.image_size must be at least 5"),
        ({"channels": 8.0}, "channels must be an integer"),
    ],
)
def test_wrong_descriptions_are_refused(changes, message):
    with pytest.raises((ValueError, TypeError), match=message):
        SearchSpace.profile("micro", family="darts", **changes)
