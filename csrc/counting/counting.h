#pragma once

#include <cstdint>

#include "counting/cpu/paths.h"

namespace stnas {

// counts[i] = sum_g table[g, genotypes[i, g]]; counts has one place per row of genotypes.
// Up to `threads` threads share the rows. Throws std::invalid_argument for a gene outside the
// table, for a table without one row per gene, for a table with which a sum could leave int64 and
// for a number of threads outside [1, 1024].
void count_madds(Genotypes genotypes, Table table, Counts counts, std::int64_t threads = 1);

// Makes the checks of count_madds that need no genotype, only how many genes it has.
void check_counting(std::int64_t genes, Table table, std::int64_t threads);

}  // namespace stnas
