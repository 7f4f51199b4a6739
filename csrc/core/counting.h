#pragma once

#include <cstdint>
#include <span>

#include "core/matrix.h"

namespace stnas {

// counts[i] = sum_g table[g, genotypes[i, g]]; counts has one place per row of genotypes.
// Throws std::invalid_argument for a gene outside the table, for a table without one row per gene
// and for a table with which a sum could leave int64.
void count_madds(Matrix<std::int8_t> genotypes, Matrix<std::int64_t> table,
                 std::span<std::int64_t> counts);

}  // namespace stnas
