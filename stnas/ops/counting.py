"""Count many architectures at once from a table of costs."""

import numpy as np
from numpy.typing import NDArray

from stnas import _core


def count_madds(
    genotypes: NDArray[np.int8], table: NDArray[np.int64], *, threads: int = 1
) -> NDArray[np.int64]:
    """Count every architecture: ``counts[i] = sum_g table[g, genotypes[i, g]]``.

    The cost of an architecture is additive over its edges, so the sum is exact. Any additive cost
    will do, parameters for one.

    genotypes: one architecture a row, int8 ``[n, genes]``. table: the cost of each choice of each
    gene, int64 ``[genes, choices]``. threads: at most this many share the rows, where they are
    worth it. Returns int64 ``[n]``. Arrays that are not contiguous are copied; other dtypes are
    refused, not converted.

    Raises TypeError for another kind or dtype, ValueError for another number of axes, a table
    without one row per gene, a gene outside ``[0, choices)`` (named by row and gene), a table with
    which a sum could leave int64 and threads outside ``[1, 1024]``.
    """
    return _core.count_madds(genotypes, table, threads=threads)
