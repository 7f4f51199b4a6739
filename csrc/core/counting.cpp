#include "core/counting.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>

namespace stnas {
namespace {

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kSmallest = std::numeric_limits<std::int64_t>::min();

// Bounds every partial sum: the largest positive entries and the smallest negative ones, added up
// row by row, must stay in int64.
void check_sums(Matrix<std::int64_t> table) {
  std::int64_t above = 0;
  std::int64_t below = 0;
  for (std::int64_t gene = 0; gene < table.rows && table.columns > 0; ++gene) {
    const auto [low, high] = std::minmax_element(table.row(gene), table.row(gene + 1));
    const std::int64_t up = std::max<std::int64_t>(*high, 0);
    const std::int64_t down = std::min<std::int64_t>(*low, 0);
    if (up > kLargest - above || down < kSmallest - below) {
      throw std::invalid_argument(
          "count_madds: the sums of table must stay in int64, but the extreme entries of its first " +
          std::to_string(gene + 1) + " rows add up to more: count in a larger unit");
    }
    above += up;
    below += down;
  }
}

[[noreturn]] void refuse_gene(Matrix<std::int8_t> genotypes, std::int64_t choices, std::int64_t row,
                              std::int64_t gene, std::int64_t value) {
  throw std::invalid_argument(
      "count_madds: genotypes must lie in [0, " + std::to_string(choices) +
      "), the choices of table, got " + std::to_string(value) + " at row " + std::to_string(row) +
      " of " + std::to_string(genotypes.rows) + ", gene " + std::to_string(gene) +
      ": encode with the space that made the table");
}

}  // namespace

void count_madds(Matrix<std::int8_t> genotypes, Matrix<std::int64_t> table,
                 std::span<std::int64_t> counts) {
  if (genotypes.columns != table.rows) {
    throw std::invalid_argument("count_madds: table must have one row per gene, got " +
                                std::to_string(table.rows) + " rows for genotypes with " +
                                std::to_string(genotypes.columns) +
                                " genes: pass the table of the same space");
  }
  check_sums(table);
  for (std::int64_t row = 0; row < genotypes.rows; ++row) {
    const std::int8_t* genotype = genotypes.row(row);
    std::int64_t sum = 0;
    for (std::int64_t gene = 0; gene < genotypes.columns; ++gene) {
      const std::int64_t choice = genotype[gene];
      if (choice < 0 || choice >= table.columns) {
        refuse_gene(genotypes, table.columns, row, gene, choice);
      }
      sum += table.row(gene)[choice];
    }
    counts[static_cast<std::size_t>(row)] = sum;
  }
}

}  // namespace stnas
