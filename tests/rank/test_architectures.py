"""Which architectures are compared, and the words for ways of scoring."""

import numpy as np
import pytest

from stnas.config import RankConfig
from stnas.config.rank import WAYS, Way, parse_way
from stnas.rank.architectures import listed, repeated, stratified
from stnas.space import SearchSpace


def test_the_strata_are_equally_probable():
    space = SearchSpace.profile("micro")
    chosen = stratified(space, 36, p_drop=0.6)
    madds = space.madds(chosen)
    assert (np.diff(madds) >= 0).all()
    assert len(np.unique(space.canonical(chosen))) == 36
    spread = space.madds_distribution(0.6)
    places = np.array([spread.values[spread.values <= m].size for m in madds])
    shares = np.cumsum(spread.probabilities)[places - 1]
    middles = (np.arange(36) + 0.5) / 36
    assert np.abs(shares - middles).max() < 0.035
    np.testing.assert_array_equal(chosen, stratified(space, 36, p_drop=0.6))


def test_networks_of_one_size_in_multiply_adds_are_spread_by_their_bits():
    space = SearchSpace.profile("resnet14")
    bitops = space.costs["bitops"](stratified(space, 12, p_drop=0.5))
    assert (np.diff(bitops) >= 0).all()
    assert bitops[-1] > 2 * bitops[0]


def test_more_than_there_are_is_refused():
    space = SearchSpace.profile("nano", stages=(2, 1), widths=(8, 8), branch_distances=())
    with pytest.raises(ValueError, match=r"rank\.architectures must be at most \d+, .* got 999"):
        stratified(space, 999, p_drop=0.6)


def test_a_file_lists_genotypes(tmp_path):
    space = SearchSpace.profile("micro")
    rows = space.sample(5, p_drop=0.6, seed=0)
    texts = [space.format(row) for row in rows]
    file = tmp_path / "list.txt"
    file.write_text("\n".join([*texts, "", texts[0]]) + "\n")
    np.testing.assert_array_equal(listed(space, file), rows)
    file.write_text("\n".join(texts[:3] * 2))
    with pytest.raises(ValueError, match=r"4 different networks or more, got 3 in .*list\.txt"):
        listed(space, file)
    with pytest.raises(FileNotFoundError, match=r"rank\.genotypes must be a file"):
        listed(space, tmp_path / "none.txt")


def test_repetitions_are_spread_evenly():
    assert repeated(3, 6) == [1, 3, 5]
    assert repeated(0, 6) == []
    assert repeated(9, 6) == [0, 1, 2, 3, 4, 5]
    assert len(repeated(12, 36)) == 12


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("single", Way("single", "single")),
        ("tail", Way("tail", "tail")),
        ("ema-0.999", Way("ema-0.999", "ema", decay=0.999)),
        ("posterior", Way("posterior", "chain", mode="posterior")),
        ("none@0.05", Way("none@0.05", "chain", mode="none", rate=0.05)),
        ("relative-0.02@1e-3", Way("relative-0.02@1e-3", "chain", "relative", 0.02, 1e-3)),
        ("finetune-10", Way("finetune-10", "finetune", steps=10)),
        ("finetune-epoch", Way("finetune-epoch", "finetune")),
        ("probe-500", Way("probe-500", "probe", images=500)),
    ],
)
def test_the_name_of_a_way_says_what_it_is(name, way):
    assert parse_way(name) == way


@pytest.mark.parametrize(
    "name", ["", "swa", "ema-2", "ema-", "posterior@", "finetune-x", "probe-0", "single "]
)
def test_other_words_are_refused(name):
    with pytest.raises(ValueError, match=r"rank\.ways must be words of single, tail, ema-DECAY"):
        RankConfig(ways=(name,))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architectures": 3}, r"rank\.architectures must be 4 or more, got 3"),
        ({"truth_epochs": 0}, r"rank\.truth_epochs must be 1 or more"),
        ({"truth_seeds": 0}, r"rank\.truth_seeds must be 1 or more"),
        ({"repeated": -1}, r"rank\.repeated must be 0 or more"),
        ({"ways": ()}, r"rank\.ways must be one way or more"),
        ({"ways": ("single", "single")}, r"rank\.ways must be .* without repetition"),
        ({"finetune_learning_rate": 0.0}, r"rank\.finetune_learning_rate must be a finite"),
        ({"shared_statistics_steps": -1}, r"rank\.shared_statistics_steps must be 0 or more"),
        ({"bands": 0}, r"rank\.bands must be 1 or more"),
        ({"resamples": 99}, r"rank\.resamples must be 100 or more"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RankConfig(**options)


def test_the_usual_ways_are_those_that_the_grammar_knows():
    assert [parse_way(name).name for name in WAYS] == list(WAYS)
