#include <algorithm>
#include <limits>
#include <numeric>

#include "host/tests/check.h"
#include "pareto/nondominated.h"

using namespace stnas;
using namespace stnas::test;

namespace {

using Ranks = std::vector<std::int64_t>;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Ranks rank(const Owned<double>& points) {
  Ranks ranks(static_cast<std::size_t>(points.view().rows), -1);
  nondominated_sort(points.view(), ranks);
  return ranks;
}

bool dominates(const double* a, const double* b, std::int64_t columns) {
  bool better = false;
  for (std::int64_t column = 0; column < columns; ++column) {
    if (a[column] > b[column]) return false;
    better = better || a[column] < b[column];
  }
  return better;
}

// Raises ranks along every dominance until nothing changes.
Ranks rank_by_force(Matrix<double> points) {
  Ranks ranks(static_cast<std::size_t>(points.rows), 0);
  for (bool changed = true; changed;) {
    changed = false;
    for (std::int64_t i = 0; i < points.rows; ++i) {
      for (std::int64_t j = 0; j < points.rows; ++j) {
        const std::int64_t above = ranks[static_cast<std::size_t>(i)] + 1;
        std::int64_t& found = ranks[static_cast<std::size_t>(j)];
        if (found >= above || !dominates(points.row(i), points.row(j), points.columns)) continue;
        found = above;
        changed = true;
      }
    }
  }
  return ranks;
}

void known_ranks() {
  expect_equal(rank({{1, 3, 1, 2, 2, 1}, 2}), {1, 0, 0});
  expect_equal(rank({{3, 1, 3, 2}, 1}), {2, 0, 2, 1});
  expect_equal(rank({{1, 2, 3, 3, 2, 1, 2, 2, 3, 1, 2, 3}, 3}), {0, 0, 1, 0});
}

void takes_few_points() {
  for (std::int64_t columns = 1; columns < 6; ++columns) {
    expect_equal(rank({{}, columns}), {});
    expect_equal(rank({std::vector<double>(static_cast<std::size_t>(columns), 7.0), columns}), {0});
  }
}

void equals_brute_force_on_ties() {
  std::mt19937_64 random(2);
  for (int columns = 1; columns < 6; ++columns) {
    for (int draw = 0; draw < 1000; ++draw) {
      const auto points = draw_points(random, 24, columns);
      expect_equal(rank(points), rank_by_force(points.view()), points.text());
    }
  }
}

void equals_brute_force_where_division_starts() {
  std::mt19937_64 random(3);
  for (int columns = 2; columns < 7; ++columns) {
    for (int draw = 0; draw < 8; ++draw) {
      const auto points = draw_points(random, 400, columns);
      expect_equal(rank(points), rank_by_force(points.view()));
    }
  }
}

// Two objectives keep the points apart; the others have so few values that whole parts of a
// division agree in them.
void equals_brute_force_on_coarse_objectives() {
  std::mt19937_64 random(6);
  for (std::int64_t columns = 3; columns < 7; ++columns) {
    for (int draw = 0; draw < 8; ++draw) {
      Owned<double> points{{}, columns};
      for (std::int64_t at = 0; at < 500 * columns; ++at) {
        const std::uint64_t values = at % columns < 2 ? 200 : 2 + random() % 2;
        points.values.push_back(static_cast<double>(random() % values));
      }
      expect_equal(rank(points), rank_by_force(points.view()));
    }
  }
}

// Ranks points one after the other in lexicographic order.
Ranks rank_in_turn(Matrix<double> points) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(points.rows));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return std::lexicographical_compare(points.row(a), points.row(a + 1), points.row(b),
                                        points.row(b + 1));
  });
  Ranks ranks(order.size(), 0);
  for (std::size_t i = 0; i < order.size(); ++i) {
    std::int64_t& rank = ranks[static_cast<std::size_t>(order[i])];
    for (std::size_t j = 0; j < i; ++j) {
      const std::int64_t other = ranks[static_cast<std::size_t>(order[j])];
      if (other >= rank && dominates(points.row(order[j]), points.row(order[i]), points.columns)) {
        rank = other + 1;
      }
    }
  }
  return ranks;
}

void equals_ranking_in_turn_where_sets_are_divided() {
  std::mt19937_64 random(8);
  for (std::int64_t columns = 3; columns < 6; ++columns) {
    for (const std::uint64_t values : {40u, 1000000u}) {
      Owned<double> points{{}, columns};
      for (int at = 0; at < 7000 * columns; ++at) {
        points.values.push_back(static_cast<double>(random() % values));
      }
      expect(rank(points) == rank_in_turn(points.view()), "ranks differ");
    }
  }
}

void orders_infinities_and_zeros() {
  expect_equal(rank({{0, kInfinity, -kInfinity, kInfinity, kInfinity, -kInfinity}, 2}), {1, 0, 0});
  expect_equal(rank({{0.0, 1, 1, -0.0, 1, 1}, 3}), {0, 0});
}

void ranks_a_long_chain_and_many_copies() {
  constexpr std::int64_t kPoints = 20000;
  Owned<double> chain{{}, 3};
  Ranks expected;
  for (std::int64_t point = kPoints; point-- > 0;) {
    chain.values.insert(chain.values.end(), 3, static_cast<double>(point / 2));
    expected.push_back(point / 2);
  }
  expect_equal(rank(chain), expected);
}

void refuses_nan_and_no_objectives() {
  const Owned<double> missing{{1, 2, std::numeric_limits<double>::quiet_NaN(), 2}, 2};
  expect_refused([&missing] { rank(missing); }, "at row 1, column 0");
  expect_refused([] { rank({{}, 0}); }, "at least one column");
}

}  // namespace

int main() {
  return run({
      {"known ranks", known_ranks},
      {"takes few points", takes_few_points},
      {"equals brute force on ties", equals_brute_force_on_ties},
      {"equals brute force where division starts", equals_brute_force_where_division_starts},
      {"equals brute force on coarse objectives", equals_brute_force_on_coarse_objectives},
      {"equals ranking in turn where sets are divided",
       equals_ranking_in_turn_where_sets_are_divided},
      {"orders infinities and zeros", orders_infinities_and_zeros},
      {"ranks a long chain and many copies", ranks_a_long_chain_and_many_copies},
      {"refuses nan and no objectives", refuses_nan_and_no_objectives},
  });
}
