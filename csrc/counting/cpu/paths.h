#pragma once

#include <cstdint>
#include <span>

#include "host/matrix.h"

namespace stnas {

// Ways to count: each fills `counts` and returns true, or returns false where it does not apply (to
// this processor or this size) or meets a gene outside the table. The table has one row per gene
// and no sum leaves int64.
using Genotypes = Matrix<std::int8_t>;
using Table = Matrix<std::int64_t>;
using Counts = std::span<std::int64_t>;

// Sixteen architectures at once with the table in registers, byte by byte.
bool count_in_registers(Genotypes genotypes, Table table, Counts counts);

// One lookup for two genes, in a table of their sums.
bool count_by_pairs(Genotypes genotypes, Table table, Counts counts);

// One lookup a gene, for every size.
bool count_by_genes(Genotypes genotypes, Table table, Counts counts);

}  // namespace stnas
