"""What a supernet of cells computes at every level of sharing."""

import pytest

from stnas.config.sharing import LEVELS, SharingConfig
from stnas.space import SearchSpace
from stnas.space.cells.partial import partial_space
from stnas.space.cells.sharing import explained, module_counts

PAPER = SearchSpace.profile("paper", family="nb201").mixture
MODULES = {
    # relu, conv, bn, pools of one cell
    "none": (12, 12, 12, 6),
    "prefix": (3, 12, 12, 3),
    "suffix": (3, 12, 6, 3),
    "merge": (3, 6, 6, 3),
}
MADDS = {
    "none": (243_712_640, 10_493_376),
    "prefix": (243_712_640, 10_493_376),
    "suffix": (243_712_640, 10_493_376),
    "merge": (220_119_680, 9_590_208),
}
"""Of C16 N5 at 32x32x3, and of C8 N1 at 28x28x1."""


@pytest.mark.parametrize("level", MODULES)
def test_modules_of_a_cell(level):
    found = module_counts(PAPER.edges[:6], level)
    assert tuple(found[kind] for kind in ("relu", "conv", "bn", "average")) == MODULES[level]


@pytest.mark.parametrize("level", MADDS)
def test_multiply_adds_of_a_pass(level):
    micro = SearchSpace.profile("micro", family="nb201", image_size=28, in_channels=1)
    assert (PAPER.madds(level), micro.mixture.madds(level)) == MADDS[level]


def test_multiply_adds_with_a_part_of_the_channels():
    """PC-DARTS, K 4, of the hyper-networks of DARTS (C16 L8) and NAS-Bench-201."""
    darts = SearchSpace.profile("paper", family="darts")
    found = [partial_space(darts, 4).mixture.madds(level) for level in LEVELS]
    assert found == [56_596_992, 56_596_992, 51_091_968, 44_511_744, 42_676_736]


def test_an_edge_is_explained():
    lines = explained(PAPER.edges[0], PAPER.choices, "merge")
    assert lines == [
        "a(skip) x",
        "a(conv1+conv3) bn((b(conv1) conv + b(conv3) conv3)(relu(x)))",
        "a(pool) average3(x)",
    ]


@pytest.mark.parametrize(
    ("level", "norm", "wanted"),
    [("none", None, False), ("prefix", None, False), ("suffix", None, True), ("merge", "l2", True),
     ("float", "none", False), ("none", "none", False)],
)  # fmt: skip
def test_where_kernels_are_normalised(level, norm, wanted):
    assert SharingConfig(level=level, kernel_norm=norm).normalises == wanted


@pytest.mark.parametrize("level", LEVELS[:2])
def test_no_norm_where_no_kernels_are_mixed(level):
    with pytest.raises(ValueError, match=r"sharing.kernel_norm must be none .* --sharing.level"):
        SharingConfig(level=level, kernel_norm="l2")


@pytest.mark.parametrize("changes", [{"level": "all"}, {"level": "merge", "kernel_norm": "l1"}])
def test_other_words_are_refused(changes):
    with pytest.raises(ValueError, match=r"sharing.\w+ must be one of"):
        SharingConfig(**changes)
