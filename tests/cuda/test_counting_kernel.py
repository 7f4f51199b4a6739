"""The CUDA form of counting: the formula, every residue of 16 bytes, and the CPU form's errors."""

import numpy as np
import pytest
import torch

from stnas.ops.pareto import reference as pareto_reference

LARGEST = 2**63 - 1


def draw(rows, genes, choices, *, seed=0):
    random = np.random.default_rng([rows, genes, choices, seed])
    genotypes = random.integers(0, choices, (rows, genes)).astype(np.int8)
    return torch.from_numpy(genotypes), torch.from_numpy(
        random.integers(-(10**12), 10**12, (genes, choices))
    )


# The last two tables do not fit into shared memory.
SHAPES = [(rows, 54, 11) for rows in (0, 1, 127, 128, 129)]
SHAPES += [(131, genes, 7) for genes in (0, 1, 13, 16, 31, 53)] + [(130, 60, 128), (3, 400, 16)]


@pytest.mark.parametrize(("rows", "genes", "choices"), SHAPES)
def test_it_equals_its_numpy_twin(kernels, rows, genes, choices):
    genotypes, table = draw(rows, genes, choices)
    expected = pareto_reference.count_madds(genotypes.numpy(), table.numpy())
    for _ in kernels.schedules():
        counts = kernels.ops.count_madds(genotypes.to(kernels.device), table.to(kernels.device), 1)
        np.testing.assert_array_equal(counts.cpu().numpy(), expected)


@pytest.mark.parametrize("shift", [1, 8])
def test_rows_may_begin_anywhere(kernels, shift):
    genotypes, table = draw(200, 16, 11)
    askew = torch.zeros(200 * 16 + shift, dtype=torch.int8, device=kernels.device)[shift:]
    askew.copy_(genotypes.ravel())
    counts = kernels.ops.count_madds(askew.view(200, 16), table.to(kernels.device), 1)
    expected = pareto_reference.count_madds(genotypes.numpy(), table.numpy())
    np.testing.assert_array_equal(counts.cpu().numpy(), expected)


def test_rows_and_columns_may_have_any_strides(kernels):
    genotypes, table = draw(200, 16, 11)
    turned = genotypes.T.contiguous().to(kernels.device).T
    spread = torch.zeros((16, 22), dtype=torch.int64, device=kernels.device)[:, ::2]
    spread.copy_(table)
    expected = pareto_reference.count_madds(genotypes.numpy(), table.numpy())
    np.testing.assert_array_equal(kernels.ops.count_madds(turned, spread, 1).cpu(), expected)


def wrong_gene(row, gene, value, *, last=-3):
    genotypes, table = draw(300, 54, 11)
    genotypes[row, gene] = value
    genotypes[299, 53] = last
    return genotypes, table, 1


PLAIN = draw(4, 3, 5)


@pytest.mark.parametrize(
    "arguments",
    [
        wrong_gene(0, 0, -1),
        wrong_gene(0, 0, -1, last=0),
        wrong_gene(17, 53, 11),
        wrong_gene(299, 0, 127),
        (PLAIN[0], PLAIN[1][:2], 1),
        (PLAIN[0], torch.full((3, 5), LARGEST), 1),
        (PLAIN[0], torch.full((3, 5), -LARGEST), 1),
        (*PLAIN, 0),
        (*PLAIN, 1025),
        (PLAIN[0][0], PLAIN[1], 1),
        (PLAIN[0], PLAIN[1][0], 1),
        (PLAIN[0].long(), PLAIN[1], 1),
        (PLAIN[0], PLAIN[1].int(), 1),
    ],
)
def test_bad_input_raises_what_the_cpu_form_raises(kernels, arguments):
    with pytest.raises(ValueError, match="count_madds: ") as expected:
        torch.ops.stnas.count_madds(*arguments)
    moved = [part.to(kernels.device) for part in arguments[:2]]
    with pytest.raises(ValueError, match="count_madds: ") as found:
        kernels.ops.count_madds(*moved, arguments[2])
    place = str(expected.value).replace("the CPU", "one CUDA device")
    assert str(found.value) in (str(expected.value), place)


def test_rows_come_in_by_wide_loads_and_without_conflicts(checked):
    genotypes, table = (value.clone() for value in draw(1024, 54, 11))  # torch aligns to 64 bytes
    checked.ops.count_madds(genotypes, table, 1)
    rows = checked.traffic()
    wide = [row for row in rows if row["memory"] == "device" and row["bytes"] == 16]
    assert sum(row["moved"] for row in wide) == genotypes.numel()
    stores = [row for row in rows if row["memory"] == "device" and row["access"] == "store"]
    for group in (wide, stores):
        assert sum(row["ideal"] for row in group) >= 0.95 * sum(row["cost"] for row in group)
    lookups = [row for row in rows if row["memory"] == "shared" and row["access"] == "load"]
    assert sum(row["ideal"] for row in lookups) >= 0.6 * sum(row["cost"] for row in lookups)
