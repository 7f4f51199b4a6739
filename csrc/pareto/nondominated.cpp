#include "pareto/nondominated.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "pareto/checks.h"
#include "pareto/distinct.h"
#include "pareto/division.h"

namespace stnas {
namespace {

std::vector<std::int64_t> rank_one_objective(Matrix<double> points) {
  std::vector<std::int64_t> ranks(static_cast<std::size_t>(points.rows));
  std::iota(ranks.begin(), ranks.end(), std::int64_t{0});
  return ranks;
}

// Sweeps distinct points by the first objective. lowest[k], the best second objective in front k,
// never falls with k, and front k dominates the next point exactly if lowest[k] is not above it:
// O(n log n).
std::vector<std::int64_t> rank_two_objectives(Matrix<double> points) {
  std::vector<std::int64_t> ranks(static_cast<std::size_t>(points.rows));
  std::vector<double> lowest;
  for (std::int64_t point = 0; point < points.rows; ++point) {
    const double height = points.row(point)[1];
    const auto front = std::upper_bound(lowest.begin(), lowest.end(), height);
    ranks[static_cast<std::size_t>(point)] = front - lowest.begin();
    if (front == lowest.end()) {
      lowest.push_back(height);
    } else {
      *front = height;
    }
  }
  return ranks;
}

std::vector<std::int64_t> rank_points(Matrix<double> points) {
  if (points.columns == 1) return rank_one_objective(points);
  if (points.columns == 2) return rank_two_objectives(points);
  return rank_by_division(points);
}

}  // namespace

void nondominated_sort(Matrix<double> objectives, std::span<std::int64_t> ranks) {
  check_ordered(objectives, "nondominated_sort: objectives");
  const DistinctRows rows(objectives);
  const std::vector<std::int64_t> found = rank_points(rows.view());
  for (std::size_t row = 0; row < ranks.size(); ++row) {
    ranks[row] = found[static_cast<std::size_t>(rows.distinct[row])];
  }
}

}  // namespace stnas
