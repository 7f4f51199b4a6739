"""Genotypes: checks that name the gene, and a text form that survives a round trip only."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnas.space import SearchSpace
from stnas.space.topology import edges_of

SPACES = {name: SearchSpace.profile(name) for name in ("imagenet", "small", "micro", "nano")}
NANO = SPACES["nano"]
ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz-"


@st.composite
def cases(draw):
    """Draw a space and one of its genotypes."""
    space = SPACES[draw(st.sampled_from(sorted(SPACES)))]
    genes = [draw(st.integers(0, len(edge.choices) - 1)) for edge in edges_of(space)]
    return space, np.array(genes, np.int8)


@given(cases())
def test_round_trip(case):
    space, genotype = case
    text = space.format(genotype)
    read = space.parse(text)
    assert read.dtype == np.int8
    assert read.flags.c_contiguous
    assert read.shape == (space.num_genes,)
    assert (read == genotype).all()
    assert text == text.lower()
    assert len(text) == 4 + 9 + space.num_genes + 8


def test_texts_never_move():
    assert NANO.format(np.zeros(12, np.int8)) == "st1-3200c639-000000000000-00x37w8"


@given(cases(), st.data())
def test_every_changed_character_is_found(case, data):
    space, genotype = case
    text = space.format(genotype)
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from(ALPHABET.replace(text[place], "")))
    with pytest.raises(ValueError, match="genotype must"):
        space.parse(text[:place] + letter + text[place + 1 :])


@given(cases(), st.data())
def test_swapped_and_missing_characters_are_found(case, data):
    space, genotype = case
    text = space.format(genotype)
    place = data.draw(st.integers(0, len(text) - 2))
    swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    if swapped != text:
        with pytest.raises(ValueError, match="genotype must"):
            space.parse(swapped)
    with pytest.raises(ValueError, match="genotype must"):
        space.parse(text[:place] + text[place + 1 :])


@given(st.text(max_size=60))
def test_any_other_text_is_refused(text):
    with pytest.raises(ValueError, match="genotype must read st1-"):
        NANO.parse(text)


@pytest.mark.parametrize("text", ["", "st1", " st1-3200c639-000000000000-00x37w8", "\u017ft1-"])
def test_a_text_of_another_form_is_refused(text):
    with pytest.raises(ValueError, match="copy the whole text"):
        NANO.parse(text)


def test_a_genotype_of_another_space_is_refused():
    text = SearchSpace.profile("nano", merge="mean").format(np.zeros(12, np.int8))
    with pytest.raises(
        ValueError, match=r"belong to this space \(st1-3200c639\), got one of the spac"
    ):
        NANO.parse(text)


def test_a_genotype_of_the_same_space_on_other_images_is_read():
    other = SearchSpace.profile("nano", image_size=64, num_classes=100)
    assert (other.parse(NANO.format(np.ones(12, np.int8))) == 1).all()


def test_another_version_is_refused():
    with pytest.raises(ValueError, match="version st1, got st2"):
        NANO.parse("st2-3200c639-000000000000-00x37w8")


def test_no_text_is_refused():
    with pytest.raises(TypeError, match="genotype must be text"):
        NANO.parse(b"st1")


def test_format_checks_the_gene():
    with pytest.raises(ValueError, match=r"genotypes\[0, 1\] \(v2->v3\) must lie in \[0, 3\]"):
        NANO.format(np.full(12, 4))


def test_check_names_row_gene_edge_and_choices():
    genotypes = NANO.sample(5, p_drop=0.5, seed=0)
    genotypes[3, 2] = 9
    message = r"genotypes\[3, 2\] \(v1->v3\).* \[0, 4\], got 9: .*0 none, 1 k3e1"
    with pytest.raises(ValueError, match=message):
        NANO.check(genotypes)
    genotypes[3, 2] = -1
    with pytest.raises(ValueError, match="got -1"):
        NANO.madds(genotypes)


@pytest.mark.parametrize("shape", [(12,), (3, 11), (2, 3, 12), (0,), ()], ids=str)
def test_check_refuses_another_shape(shape):
    with pytest.raises(ValueError, match=r"genotypes must have shape \[n, 12\], got"):
        NANO.check(np.zeros(shape, np.int8))


@pytest.mark.parametrize("kind", [np.float32, bool, complex, object, "U1"])
def test_check_refuses_another_dtype(kind):
    with pytest.raises(TypeError, match="genotypes must hold integers, got dtype"):
        NANO.check(np.zeros((1, 12), kind))


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int64, np.uint64])
def test_check_takes_every_integer_and_looks_before_it_narrows(kind):
    assert NANO.check(np.ones((2, 12), kind)).dtype == np.int8
    wide = np.ones((2, 12), kind)
    wide[1, 0] = 129
    with pytest.raises(ValueError, match="got 129"):
        NANO.check(wide)


def test_check_makes_any_layout_contiguous_and_keeps_a_good_array():
    genotypes = NANO.sample(6, p_drop=0.5, seed=0)
    assert NANO.check(genotypes) is genotypes
    for view in (genotypes[::2], np.asfortranarray(genotypes), genotypes[:, ::-1][:, ::-1]):
        checked = NANO.check(view)
        assert checked.flags.c_contiguous
        assert (checked == view).all()
        assert (NANO.madds(view) == NANO.madds(checked)).all()


def test_no_genotypes_at_all():
    empty = np.zeros((0, 12), np.int8)
    assert NANO.check(empty).shape == (0, 12)
    assert NANO.madds(empty).shape == NANO.params(empty).shape == (0,)
    assert NANO.canonical(empty).shape == (0,)


def test_describe_lists_the_edges_that_are_present():
    genotype = NANO.parse(NANO.format([4, 0, 0, 4, 1, 0, 2, 0, 0, 3, 4, 0]))
    assert NANO.describe(genotype) == [
        "v1 -> v2 stem identity",
        "v2 -> v3 stem k3e1",
        "v3 -> v4 stem identity",
        "v2 -> v4 branch k3e1",
        "v4 -> v5 stem k5e1",
        "v5 -> v6 stem k5e3",
        "v4 -> v6 branch k5e3",
    ]
