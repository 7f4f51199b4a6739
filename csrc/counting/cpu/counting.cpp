#include "counting/counting.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace stnas {
namespace {

constexpr std::int64_t kMostThreads = 1024;
constexpr std::int64_t kShare = 1 << 25;  // genes that are worth a thread
constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kSmallest = std::numeric_limits<std::int64_t>::min();

// Tells whether the table is so short and its entries so small that no sum can leave int64: a loop
// that becomes vectors.
bool is_small(Matrix<std::int64_t> table) {
  constexpr std::uint64_t kBound = std::uint64_t{1} << 40;  // of |entry|
  std::uint64_t bits = 0;
  for (const std::int64_t* entry = table.data; entry < table.row(table.rows); ++entry) {
    bits |= static_cast<std::uint64_t>(*entry) + kBound;
  }
  return bits < 2 * kBound && table.rows <= (1 << 20);
}

// Bounds every partial sum: the largest positive entries and the smallest negative ones, added up
// row by row, must stay in int64.
void check_sums(Matrix<std::int64_t> table) {
  if (is_small(table)) return;
  std::int64_t above = 0;
  std::int64_t below = 0;
  for (std::int64_t gene = 0; gene < table.rows && table.columns > 0; ++gene) {
    std::int64_t up = 0, down = 0;
    for (const std::int64_t* entry = table.row(gene); entry < table.row(gene + 1); ++entry) {
      up = std::max(up, *entry);
      down = std::min(down, *entry);
    }
    if (up > kLargest - above || down < kSmallest - below) {
      throw std::invalid_argument(
          "count_madds: the sums of table must stay in int64, but the extreme entries of its "
          "first " +
          std::to_string(gene + 1) + " rows add up to more: count in a larger unit");
    }
    above += up;
    below += down;
  }
}

// Names the first gene outside the table.
[[noreturn]] void refuse_gene(Genotypes genotypes, std::int64_t choices) {
  const std::int8_t* end = genotypes.row(genotypes.rows);
  const auto* bad = std::find_if(
      genotypes.data, end, [choices](std::int8_t gene) { return gene < 0 || gene >= choices; });
  const std::int64_t at = bad - genotypes.data;
  throw std::invalid_argument(
      "count_madds: genotypes must lie in [0, " + std::to_string(choices) +
      "), the choices of table, got " + std::to_string(*bad) + " at row " +
      std::to_string(at / genotypes.columns) + " of " + std::to_string(genotypes.rows) + ", gene " +
      std::to_string(at % genotypes.columns) + ": encode with the space that made the table");
}

bool count_rows(Genotypes genotypes, Table table, Counts counts) {
  return count_in_registers(genotypes, table, counts) || count_by_pairs(genotypes, table, counts) ||
         count_by_genes(genotypes, table, counts);
}

// Gives every thread its share of the rows; returns whether all of them could be counted.
bool count_on_threads(Genotypes genotypes, Table table, Counts counts, std::int64_t threads) {
  std::atomic<bool> done = true;
  const std::int64_t share = (genotypes.rows + threads - 1) / threads;
  const auto work = [&](std::int64_t begin) {
    const std::int64_t rows = std::min(share, genotypes.rows - begin);
    const auto part =
        counts.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(rows));
    if (!count_rows({genotypes.row(begin), rows, genotypes.columns}, table, part)) done = false;
  };
  std::vector<std::jthread> others;
  for (std::int64_t begin = share; begin < genotypes.rows; begin += share) {
    others.emplace_back(work, begin);
  }
  work(0);
  others.clear();
  return done;
}

}  // namespace

void check_counting(std::int64_t genes, Table table, std::int64_t threads) {
  if (genes != table.rows) {
    throw std::invalid_argument("count_madds: table must have one row per gene, got " +
                                std::to_string(table.rows) + " rows for genotypes with " +
                                std::to_string(genes) + " genes: pass the table of the same space");
  }
  if (threads < 1 || threads > kMostThreads) {
    throw std::invalid_argument("count_madds: threads must lie in [1, " +
                                std::to_string(kMostThreads) + "], got " + std::to_string(threads));
  }
  check_sums(table);
}

void count_madds(Genotypes genotypes, Table table, Counts counts, std::int64_t threads) {
  check_counting(genotypes.columns, table, threads);
  const std::int64_t useful =
      genotypes.rows * std::max<std::int64_t>(genotypes.columns, 1) / kShare;
  const bool counted =
      count_on_threads(genotypes, table, counts, std::clamp<std::int64_t>(useful, 1, threads));
  if (!counted) refuse_gene(genotypes, table.columns);
}

}  // namespace stnas
