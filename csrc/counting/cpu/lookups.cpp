#include <vector>

#include "counting/cpu/paths.h"

namespace stnas {
namespace {

constexpr std::int64_t kMostEntries = 1 << 15;  // of the table of pairs: 256 KiB

// entry [pair][a * choices + b] = table[2 pair][a] + table[2 pair + 1][b].
std::vector<std::int64_t> add_pairs(Table table) {
  std::vector<std::int64_t> sums;
  for (std::int64_t gene = 0; gene + 1 < table.rows; gene += 2) {
    for (std::int64_t a = 0; a < table.columns; ++a) {
      for (std::int64_t b = 0; b < table.columns; ++b) {
        sums.push_back(table.row(gene)[a] + table.row(gene + 1)[b]);
      }
    }
  }
  return sums;
}

// A loop without a way out, which becomes vectors.
bool within(const std::int8_t* genes, std::int64_t count, std::int64_t choices) {
  const auto last = static_cast<std::uint8_t>(choices > 256 ? 255 : choices - 1);
  std::uint8_t outside = 0;
  for (std::int64_t gene = 0; gene < count; ++gene) {
    outside |= static_cast<std::uint8_t>(static_cast<std::uint8_t>(genes[gene]) > last);
    outside |= static_cast<std::uint8_t>(genes[gene] < 0);
  }
  return outside == 0;
}

}  // namespace

bool count_by_pairs(Genotypes genotypes, Table table, Counts counts) {
  const std::int64_t pairs = table.rows / 2;
  const std::int64_t square = table.columns * table.columns;
  if (pairs == 0 || square == 0 || pairs * square > kMostEntries || genotypes.rows < square) {
    return false;
  }
  const auto sums = add_pairs(table);
  for (std::int64_t row = 0; row < genotypes.rows; ++row) {
    const std::int8_t* genes = genotypes.row(row);
    if (!within(genes, genotypes.columns, table.columns)) return false;
    std::int64_t sum = table.rows % 2 ? table.row(table.rows - 1)[genes[table.rows - 1]] : 0;
    const std::int64_t* entries = sums.data();
    for (std::int64_t pair = 0; pair < pairs; ++pair, entries += square) {
      sum += entries[genes[2 * pair] * table.columns + genes[2 * pair + 1]];
    }
    counts[static_cast<std::size_t>(row)] = sum;
  }
  return true;
}

bool count_by_genes(Genotypes genotypes, Table table, Counts counts) {
  for (std::int64_t row = 0; row < genotypes.rows; ++row) {
    const std::int8_t* genes = genotypes.row(row);
    std::int64_t sum = 0;
    for (std::int64_t gene = 0; gene < genotypes.columns; ++gene) {
      if (genes[gene] < 0 || genes[gene] >= table.columns) return false;
      sum += table.row(gene)[genes[gene]];
    }
    counts[static_cast<std::size_t>(row)] = sum;
  }
  return true;
}

}  // namespace stnas
