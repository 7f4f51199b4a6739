"""Count many architectures at once from a table of costs."""

from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import stnas.ops.extension  # noqa: F401
from stnas import _core


@overload
def count_madds(
    genotypes: NDArray[np.int8], table: NDArray[np.int64], *, threads: int = ...
) -> NDArray[np.int64]: ...


@overload
def count_madds(genotypes: Tensor, table: Tensor, *, threads: int = ...) -> Tensor: ...


def count_madds(
    genotypes: NDArray[np.int8] | Tensor,
    table: NDArray[np.int64] | Tensor,
    *,
    threads: int = 1,
) -> NDArray[np.int64] | Tensor:
    """Count every architecture: ``counts[i] = sum_g table[g, genotypes[i, g]]``.

    The cost of an architecture is additive over its edges, so the sum is exact. Any additive cost
    will do, parameters for one.

    genotypes: one architecture a row, int8 ``[n, genes]``. table: the cost of each choice of each
    gene, int64 ``[genes, choices]``. Both numpy arrays, or both tensors, on the CPU or on one GPU.
    threads: at most this many share the rows, where they are worth it. Returns int64 ``[n]``.
    Arrays that are not contiguous are copied; other dtypes are refused, not converted. On a GPU the
    call waits for the counts.

    Raises TypeError for another kind or dtype (ValueError for a tensor's dtype), ValueError for
    another number of axes, a table without one row per gene, a gene outside ``[0, choices)`` (named
    by row and gene), a table with which a sum could leave int64 and threads outside ``[1, 1024]``.
    """
    if threads == 1 and isinstance(genotypes, np.ndarray) and isinstance(table, np.ndarray):
        return _core.count_madds(genotypes, table)  # Half a microsecond less than with keywords.
    if isinstance(genotypes, Tensor) or isinstance(table, Tensor):
        counts: Tensor = torch.ops.stnas.count_madds(genotypes, table, threads)
        return counts
    return _core.count_madds(genotypes, table, threads=threads)


@torch.library.register_fake("stnas::count_madds")  # type: ignore[untyped-decorator]
def _(genotypes: Tensor, table: Tensor, _threads: int) -> Tensor:
    return table.new_empty(genotypes.shape[0])
