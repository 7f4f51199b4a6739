"""`stnas.ops.count_madds`: the formula, every refusal, and the extremes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.library import opcheck

from stnas.ops import count_madds
from stnas.ops.pareto import reference as pareto_reference

GENOTYPES = np.array([[0, 1], [2, 1]], dtype=np.int8)
TABLE = np.array([[0, 1, 2], [3, 4, 5]], dtype=np.int64)
LARGEST = np.iinfo(np.int64).max
SMALLEST = np.iinfo(np.int64).min


def test_it_adds_the_entry_of_every_gene():
    counts = count_madds(GENOTYPES, TABLE)
    assert counts.dtype == np.int64
    assert counts.tolist() == [4, 6]


@given(st.integers(0, 200), st.integers(0, 60), st.integers(1, 128), st.integers(0, 2**32 - 1))
def test_it_equals_its_numpy_twin(n, genes, choices, seed):
    random = np.random.default_rng(seed)
    genotypes = random.integers(0, choices, (n, genes)).astype(np.int8)
    table = random.integers(-(10**12), 10**12, (genes, choices))
    expected = pareto_reference.count_madds(genotypes, table)
    np.testing.assert_array_equal(count_madds(genotypes, table), expected)


@pytest.mark.parametrize(
    ("genotypes", "expected"),
    [(np.empty((0, 2), np.int8), []), (GENOTYPES[:1], [4])],
    ids=["none", "one"],
)
def test_it_takes_few_rows(genotypes, expected):
    assert count_madds(genotypes, TABLE).tolist() == expected


@pytest.mark.parametrize("choices", [1, 11, 16, 17, 32, 33, 64, 65, 128, 300])
@pytest.mark.parametrize("genes", [1, 53, 54, 64, 65, 130])
def test_many_rows_equal_the_numpy_twin(genes, choices):
    random = np.random.default_rng([genes, choices])
    genotypes = random.integers(0, min(choices, 128), (1003, genes)).astype(np.int8)
    table = random.integers(-(2**55), 2**55, (genes, choices))
    expected = pareto_reference.count_madds(genotypes, table)
    np.testing.assert_array_equal(count_madds(genotypes, table), expected)
    genotypes[777, genes - 1] = -1
    with pytest.raises(ValueError, match=rf"got -1 at row 777 of 1003, gene {genes - 1}"):
        count_madds(genotypes, table)


def test_a_table_that_changes_is_read_again():
    random = np.random.default_rng(0)
    table = random.integers(0, 10**8, (12, 10))
    for shape in [(12, 10), (12, 10), (10, 12), (24, 5), (5, 24), (12, 10)]:
        reshaped = table.reshape(shape)
        genotypes = random.integers(0, shape[1], (40, shape[0])).astype(np.int8)
        for entry in (7, -(10**15)):
            reshaped[shape[0] // 2, :2] = entry
            expected = pareto_reference.count_madds(genotypes, reshaped)
            np.testing.assert_array_equal(count_madds(genotypes, reshaped), expected)


@pytest.mark.parametrize("threads", [2, 3, 1024])
def test_threads_do_not_matter(threads):
    genotypes = np.random.default_rng(0).integers(0, 11, (2_000_000, 60)).astype(np.int8)
    table = np.arange(660).reshape(60, 11)
    counts = count_madds(genotypes, table)
    np.testing.assert_array_equal(count_madds(genotypes, table, threads=threads), counts)


@pytest.mark.parametrize("threads", [0, -1, 1025])
def test_another_number_of_threads_is_refused(threads):
    with pytest.raises(ValueError, match=rf"threads must lie in \[1, 1024\], got {threads}"):
        count_madds(GENOTYPES, TABLE, threads=threads)


def test_no_genes_cost_nothing():
    assert count_madds(np.empty((3, 0), np.int8), np.empty((0, 5), np.int64)).tolist() == [0, 0, 0]


def test_it_takes_views_that_are_not_contiguous():
    wide = np.repeat(GENOTYPES, 2, axis=1)[:, ::2]
    assert not wide.flags.c_contiguous
    assert count_madds(wide, np.asfortranarray(TABLE)).tolist() == [4, 6]
    assert count_madds(GENOTYPES[::-1], TABLE).tolist() == [6, 4]


def test_it_leaves_its_arguments_alone():
    genotypes, table = GENOTYPES.copy(), TABLE.copy()
    genotypes.flags.writeable = table.flags.writeable = False
    count_madds(genotypes, table)
    np.testing.assert_array_equal(genotypes, GENOTYPES)
    np.testing.assert_array_equal(table, TABLE)


@pytest.mark.parametrize("value", [3, -1, 127, -128])
def test_it_names_a_gene_outside_the_table(value):
    genotypes = np.zeros((3, 2), np.int8)
    genotypes[2, 1] = value
    with pytest.raises(ValueError, match=rf"\[0, 3\).*got {value} at row 2 of 3, gene 1"):
        count_madds(genotypes, TABLE)


def test_a_negative_gene_is_refused_by_a_table_wider_than_int8():
    with pytest.raises(ValueError, match="got -1 at row 0 of 1, gene 0"):
        count_madds(np.array([[-1]], np.int8), np.zeros((1, 300), np.int64))


def test_a_table_without_choices_refuses_every_gene():
    with pytest.raises(ValueError, match=r"\[0, 0\)"):
        count_madds(GENOTYPES, np.empty((2, 0), np.int64))


def test_it_wants_one_row_of_the_table_per_gene():
    with pytest.raises(ValueError, match=r"table must have one row per gene, got 1 rows.*2 genes"):
        count_madds(GENOTYPES, TABLE[:1])


@pytest.mark.parametrize("extreme", [LARGEST, SMALLEST])
def test_the_largest_sums_that_fit_are_exact(extreme):
    half = int(extreme / 2)
    table = np.array([[half, 0], [extreme - half, 0]], dtype=np.int64)
    assert count_madds(np.zeros((1, 2), np.int8), table).tolist() == [extreme]


@pytest.mark.parametrize(("extreme", "one"), [(LARGEST, 1), (SMALLEST, -1)])
def test_a_table_whose_sums_could_overflow_is_refused(extreme, one):
    table = np.array([[extreme, 0], [0, one]], dtype=np.int64)
    with pytest.raises(ValueError, match=r"sums of table must stay in int64.*first 2 rows"):
        count_madds(np.zeros((1, 2), np.int8), table)


@pytest.mark.parametrize(
    ("genotypes", "table", "message"),
    [
        (GENOTYPES.tolist(), TABLE, "genotypes must be a numpy array of int8, got list"),
        (GENOTYPES.astype(np.int64), TABLE, "genotypes must be a numpy array of int8, got int64"),
        (GENOTYPES.astype(np.uint8), TABLE, "genotypes must be a numpy array of int8, got uint8"),
        (GENOTYPES, TABLE.astype(np.int32), "table must be a numpy array of int64, got int32"),
        (GENOTYPES, TABLE.astype(np.float64), "table must be a numpy array of int64, got float64"),
        (GENOTYPES, TABLE.astype(">i8"), "table must be a numpy array of int64, got >i8"),
        (GENOTYPES, None, "table must be a numpy array of int64, got NoneType"),
    ],
)
def test_another_kind_is_refused(genotypes, table, message):
    with pytest.raises(TypeError, match=message):
        count_madds(genotypes, table)


@pytest.mark.parametrize(
    ("genotypes", "table", "message"),
    [
        (GENOTYPES[0], TABLE, r"genotypes must have 2 axes, got shape \(2,\)"),
        (GENOTYPES, TABLE[None], r"table must have 2 axes, got shape \(1, 2, 3\)"),
    ],
)
def test_another_number_of_axes_is_refused(genotypes, table, message):
    with pytest.raises(ValueError, match=message):
        count_madds(genotypes, table)


@pytest.mark.parametrize("shape", [(0, 2), (1, 2), (1003, 54), (5, 0)], ids=str)
def test_tensors_count_as_arrays_do(shape):
    random = np.random.default_rng(shape)
    genotypes = random.integers(0, 11, shape).astype(np.int8)
    table = random.integers(-(10**12), 10**12, (shape[1], 11))
    arguments = torch.from_numpy(genotypes), torch.from_numpy(table)
    counts = count_madds(*arguments)
    assert counts.dtype == torch.int64
    np.testing.assert_array_equal(counts.numpy(), count_madds(genotypes, table))
    opcheck(torch.ops.stnas.count_madds.default, (*arguments, 1))


def test_tensors_are_refused_as_arrays_are():
    genotypes, table = torch.from_numpy(GENOTYPES), torch.from_numpy(TABLE)
    strange = genotypes.clone()
    strange[1, 0] = 7
    with pytest.raises(ValueError, match=r"genotypes must lie in \[0, 3\).*got 7 at row 1 of 2"):
        count_madds(strange, table)
    with pytest.raises(ValueError, match="table must be a tensor of int64 on the CPU"):
        count_madds(genotypes, table.double())
    with pytest.raises(ValueError, match="threads must lie in"):
        count_madds(genotypes, table, threads=0)
