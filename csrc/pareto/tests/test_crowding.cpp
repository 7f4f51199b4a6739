#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "host/tests/check.h"
#include "pareto/crowding.h"

using namespace stnas;
using namespace stnas::test;

namespace {

using Distances = std::vector<double>;
using Row = std::vector<double>;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Distances crowd(const Owned<double>& points) {
  Distances distances(static_cast<std::size_t>(points.view().rows), -1);
  crowding_distance(points.view(), distances);
  return distances;
}

// Looks for the neighbours of one row among all the others: the sum that Deb et al. print, without
// a sort of the points.
double crowd_one(const std::set<Row>& rows, const Row& row) {
  double sum = rows.size() == 1 ? kInfinity : 0;
  for (std::size_t column = 0; column < row.size(); ++column) {
    std::set<std::pair<double, Row>> order;
    for (const Row& other : rows) order.emplace(other[column], other);
    const double range = order.rbegin()->first - order.begin()->first;
    if (range == 0) continue;
    const auto here = order.find({row[column], row});
    const bool end = here == order.begin() || std::next(here) == order.end();
    sum += end ? kInfinity : (std::next(here)->first - std::prev(here)->first) / range;
  }
  return sum;
}

Distances crowd_by_force(Matrix<double> points) {
  std::set<Row> rows;
  std::vector<Row> first;
  for (std::int64_t point = 0; point < points.rows; ++point) {
    const Row row(points.row(point), points.row(point) + points.columns);
    first.push_back(rows.insert(row).second ? row : Row{});
  }
  Distances distances;
  for (const Row& row : first) distances.push_back(row.empty() ? 0 : crowd_one(rows, row));
  return distances;
}

void known_distances() {
  expect_equal(crowd({{0, 4, 1, 2, 2, 1, 4, 0}, 2}), {kInfinity, 1.25, 1.25, kInfinity});
  expect_equal(crowd({{0, 7, 1, 7, 3, 7}, 2}), {kInfinity, 1.0, kInfinity});
  expect_equal(crowd({{1, 1, 1, 1}, 2}), {kInfinity, 0});
  expect_equal(crowd({{}, 2}), {});
}

void equals_brute_force_on_ties() {
  std::mt19937_64 random(4);
  for (int columns = 1; columns < 6; ++columns) {
    for (int draw = 0; draw < 800; ++draw) {
      const auto points = draw_points(random, 20, columns);
      expect_equal(crowd(points), crowd_by_force(points.view()), points.text());
    }
  }
}

void survives_extreme_ranges() {
  constexpr double kLargest = std::numeric_limits<double>::max();
  constexpr double kTiny = std::numeric_limits<double>::denorm_min();
  expect_equal(crowd({{-kLargest, 0, kLargest}, 1}), {kInfinity, 1, kInfinity});
  expect_equal(crowd({{0, kTiny, 2 * kTiny}, 1}), {kInfinity, 1, kInfinity});
}

void refuses_what_is_not_finite() {
  for (const double value : {kInfinity, -kInfinity, std::nan("")}) {
    expect_refused([value] { crowd({{0, 1, 2, value}, 2}); }, "at row 1, column 1");
  }
  expect_refused([] { crowd({{}, 0}); }, "at least one column");
}

}  // namespace

int main() {
  return run({
      {"known distances", known_distances},
      {"equals brute force on ties", equals_brute_force_on_ties},
      {"survives extreme ranges", survives_extreme_ranges},
      {"refuses what is not finite", refuses_what_is_not_finite},
  });
}
