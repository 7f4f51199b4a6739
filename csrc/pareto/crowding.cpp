#include "pareto/crowding.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "pareto/checks.h"
#include "pareto/distinct.h"

namespace stnas {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Returns (right - left) / (high - low), which lies in [0, 1], where high - low may overflow.
double share(double left, double right, double low, double high) {
  if (std::isinf(high - low)) return (right / 2 - left / 2) / (high / 2 - low / 2);
  return (right - left) / (high - low);
}

void add_objective(Matrix<double> points, std::int64_t objective, std::vector<double>& sums) {
  std::vector<std::size_t> order(sums.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto value = [points, objective](std::size_t point) {
    return points.row(static_cast<std::int64_t>(point))[objective];
  };
  std::stable_sort(order.begin(), order.end(), [&value](std::size_t left, std::size_t right) {
    return value(left) < value(right);
  });
  const double low = value(order.front());
  const double high = value(order.back());
  if (low == high) return;
  sums[order.front()] = sums[order.back()] = kInfinity;
  for (std::size_t index = 1; index + 1 < order.size(); ++index) {
    sums[order[index]] += share(value(order[index - 1]), value(order[index + 1]), low, high);
  }
}

}  // namespace

void crowding_distance(Matrix<double> objectives, std::span<double> distances) {
  check_finite(objectives, "crowding_distance: objectives");
  std::fill(distances.begin(), distances.end(), 0.0);
  if (distances.empty()) return;
  const DistinctRows rows(objectives);
  std::vector<double> sums(rows.first.size(), rows.first.size() == 1 ? kInfinity : 0.0);
  for (std::int64_t objective = 0; objective < rows.columns; ++objective) {
    add_objective(rows.view(), objective, sums);
  }
  for (std::size_t point = 0; point < sums.size(); ++point) {
    distances[static_cast<std::size_t>(rows.first[point])] = sums[point];
  }
}

}  // namespace stnas
