#include <limits>

#include "check.h"
#include "core/counting.h"

using namespace stnas;
using namespace stnas::test;

namespace {

using Counts = std::vector<std::int64_t>;
constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kSmallest = std::numeric_limits<std::int64_t>::min();

const Owned<std::int64_t> kTable{{0, 1, 2, 3, 4, 5}, 3};

Counts count(const Owned<std::int8_t>& genotypes, const Owned<std::int64_t>& table) {
  Counts counts(static_cast<std::size_t>(genotypes.view().rows));
  count_madds(genotypes.view(), table.view(), counts);
  return counts;
}

void adds_the_entry_of_every_gene() { expect_equal(count({{0, 1, 2, 1}, 2}, kTable), {4, 6}); }

void takes_no_rows() { expect_equal(count({{}, 2}, kTable), {}); }

void equals_the_plain_sum() {
  std::mt19937_64 random(1);
  for (int draw = 0; draw < 2000; ++draw) {
    const auto genes = 1 + static_cast<std::int64_t>(random() % 60);
    const auto choices = 1 + static_cast<std::int64_t>(random() % 12);
    Owned<std::int8_t> genotypes{{}, genes};
    Owned<std::int64_t> table{{}, choices};
    for (std::int64_t index = 0; index < genes * choices; ++index) {
      table.values.push_back(static_cast<std::int64_t>(random() % 1000000) - 1000);
    }
    Counts expected(random() % 10, 0);
    for (std::int64_t& sum : expected) {
      for (std::int64_t gene = 0; gene < genes; ++gene) {
        const auto choice = static_cast<std::int64_t>(random()) & 0x7f;
        genotypes.values.push_back(static_cast<std::int8_t>(choice % choices));
        sum += table.values[static_cast<std::size_t>(gene * choices + choice % choices)];
      }
    }
    expect_equal(count(genotypes, table), expected);
  }
}

void refuses_genes_outside_the_table() {
  expect_refused([] { count({{0, 0, 0, 3}, 2}, kTable); }, "got 3 at row 1 of 2, gene 1");
  expect_refused([] { count({{-1, 0}, 2}, kTable); }, "got -1 at row 0 of 1, gene 0");
  const Owned<std::int64_t> wide{std::vector<std::int64_t>(300, 0), 300};
  expect_refused([&wide] { count({{-128}, 1}, wide); }, "got -128");
}

void refuses_another_number_of_genes() {
  expect_refused([] { count({{0, 0, 0}, 3}, kTable); }, "got 2 rows for genotypes with 3 genes");
}

void refuses_sums_that_could_overflow() {
  expect_equal(count({{0, 0}, 2}, {{kLargest - 1, 0, 1, 0}, 2}), {kLargest});
  expect_equal(count({{0, 0}, 2}, {{kSmallest + 1, 0, -1, 0}, 2}), {kSmallest});
  expect_refused([] { count({{0, 0}, 2}, {{kLargest, 0, 1, 0}, 2}); }, "first 2 rows");
  expect_refused([] { count({{0, 0}, 2}, {{kSmallest, 0, -1, 0}, 2}); }, "first 2 rows");
}

}  // namespace

int main() {
  return run({
      {"adds the entry of every gene", adds_the_entry_of_every_gene},
      {"takes no rows", takes_no_rows},
      {"equals the plain sum", equals_the_plain_sum},
      {"refuses genes outside the table", refuses_genes_outside_the_table},
      {"refuses another number of genes", refuses_another_number_of_genes},
      {"refuses sums that could overflow", refuses_sums_that_could_overflow},
  });
}
