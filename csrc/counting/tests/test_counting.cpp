#include <limits>

#include "counting/counting.h"
#include "host/tests/check.h"

using namespace stnas;
using namespace stnas::test;

namespace {

using Sums = std::vector<std::int64_t>;
constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kSmallest = std::numeric_limits<std::int64_t>::min();

const Owned<std::int64_t> kTable{{0, 1, 2, 3, 4, 5}, 3};

Sums count(const Owned<std::int8_t>& genotypes, const Owned<std::int64_t>& table) {
  Sums counts(static_cast<std::size_t>(genotypes.view().rows));
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
    Sums expected(random() % 10, 0);
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

struct Problem {
  Owned<std::int8_t> genotypes;
  Owned<std::int64_t> table;
  Sums expected;
};

// Entries of `bits` bits, negative ones too.
Problem draw_problem(std::mt19937_64& random, std::int64_t rows, std::int64_t genes,
                     std::int64_t choices, unsigned bits) {
  Problem problem{{{}, genes}, {{}, choices}, Sums(static_cast<std::size_t>(rows), 0)};
  for (std::int64_t index = 0; index < genes * choices; ++index) {
    const auto entry = static_cast<std::int64_t>(random() >> (64 - bits));
    problem.table.values.push_back(entry - (std::int64_t{1} << (bits - 1)));
  }
  for (std::int64_t& sum : problem.expected) {
    for (std::int64_t gene = 0; gene < genes; ++gene) {
      const auto choice = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(choices));
      problem.genotypes.values.push_back(static_cast<std::int8_t>(choice));
      sum += problem.table.values[static_cast<std::size_t>(gene * choices + choice)];
    }
  }
  return problem;
}

void every_way_gives_the_plain_sum() {
  std::mt19937_64 random(5);
  int in_registers = 0, by_pairs = 0;
  for (int draw = 0; draw < 600; ++draw) {
    const auto problem = draw_problem(random, static_cast<std::int64_t>(random() % 300),
                                      1 + static_cast<std::int64_t>(random() % 140),
                                      1 + static_cast<std::int64_t>(random() % 18),
                                      1 + static_cast<unsigned>(random() % 54));
    const auto rows = problem.genotypes.view();
    const auto table = problem.table.view();
    Sums found(problem.expected.size(), -1);
    if (count_in_registers(rows, table, found)) {
      expect_equal(found, problem.expected);
      ++in_registers;
    }
    found.assign(found.size(), -1);
    if (count_by_pairs(rows, table, found)) {
      expect_equal(found, problem.expected);
      ++by_pairs;
    }
    found.assign(found.size(), -1);
    expect(count_by_genes(rows, table, found), "genes inside the table are refused");
    expect_equal(found, problem.expected);
  }
#if defined(__x86_64__)
  const bool can = __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni");
  expect(!can || in_registers > 300, "the registers are not used");
#endif
  expect(by_pairs > 50, "the pairs are not used");
}

void every_way_meets_a_gene_outside() {
  std::mt19937_64 random(6);
  for (const std::int8_t bad : {std::int8_t{-128}, std::int8_t{-1}, std::int8_t{3}, std::int8_t{16},
                                std::int8_t{64}, std::int8_t{127}}) {
    for (std::size_t at : {0u, 5u, 6u * 70u - 1u, 6u * 71u - 1u}) {
      auto problem = draw_problem(random, 71, 6, 3, 20);
      problem.genotypes.values[at] = bad;
      const auto rows = problem.genotypes.view();
      const auto table = problem.table.view();
      expect(!count_in_registers(rows, table, problem.expected), "registers take a wrong gene");
      expect(!count_by_pairs(rows, table, problem.expected), "pairs take a wrong gene");
      expect(!count_by_genes(rows, table, problem.expected), "genes take a wrong gene");
      expect_refused([&] { count(problem.genotypes, problem.table); },
                     "at row " + std::to_string(at / 6) + " of 71, gene " + std::to_string(at % 6));
    }
  }
}

void threads_share_the_rows() {
  std::mt19937_64 random(7);
  auto problem = draw_problem(random, 700'001, 100, 11, 30);
  Sums found(problem.expected.size(), -1);
  for (const std::int64_t threads : {1, 2, 3}) {
    count_madds(problem.genotypes.view(), problem.table.view(), found, threads);
    expect(found == problem.expected, "threads change the counts");
  }
  problem.genotypes.values.back() = 11;
  const auto count_all = [&](std::int64_t threads) {
    count_madds(problem.genotypes.view(), problem.table.view(), found, threads);
  };
  expect_refused([&] { count_all(2); }, "at row 700000 of 700001, gene 99");
  expect_refused([&] { count_all(0); }, "threads must lie in [1, 1024], got 0");
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
      {"every way gives the plain sum", every_way_gives_the_plain_sum},
      {"every way meets a gene outside", every_way_meets_a_gene_outside},
      {"threads share the rows", threads_share_the_rows},
      {"refuses genes outside the table", refuses_genes_outside_the_table},
      {"refuses another number of genes", refuses_another_number_of_genes},
      {"refuses sums that could overflow", refuses_sums_that_could_overflow},
  });
}
