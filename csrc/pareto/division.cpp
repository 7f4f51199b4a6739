#include "pareto/division.h"

#include <limits>
#include <numeric>

#include "pareto/comparison.h"
#include "pareto/ranking.h"

namespace stnas {
namespace {

// Comparing up to this many points is faster on the objectives themselves than on whole numbers.
constexpr std::int64_t kFewOrdinals = 192;

template <class V>
std::vector<std::int64_t> divide_and_rank(Matrix<double> points) {
  Points all(static_cast<std::size_t>(points.rows));
  std::iota(all.begin(), all.end(), std::size_t{0});
  Ranking<V> ranking(points);
  ranking.rank_within(all, points.columns - 1);
  std::vector<std::int64_t> ranks(ranking.ranks.begin(), ranking.ranks.end());
  for (std::int64_t& rank : ranks) --rank;
  return ranks;
}

std::vector<std::int64_t> compare_all(Matrix<double> points) {
  Crowd<double, std::uint64_t> crowd(points.rows, points.columns - 1);
  for (std::int64_t point = 0; point < points.rows; ++point) {
    for (std::int64_t k = 1; k < points.columns; ++k)
      crowd.column(k - 1)[point] = points.row(point)[k];
  }
  const std::vector<std::uint64_t> least(static_cast<std::size_t>(points.rows), 1);
  rank_in_order(crowd, least.data());
  std::vector<std::int64_t> ranks(static_cast<std::size_t>(points.rows));
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    ranks[i] = static_cast<std::int64_t>(crowd.ranks[i]) - 1;
  }
  return ranks;
}

}  // namespace

std::vector<std::int64_t> rank_by_division(Matrix<double> points) {
  if (points.rows <= kFewOrdinals) return compare_all(points);
  constexpr std::int64_t kShort = std::numeric_limits<std::uint16_t>::max();
  if (points.rows <= kShort) return divide_and_rank<std::uint16_t>(points);
  return divide_and_rank<std::uint32_t>(points);
}

}  // namespace stnas
