#include "core/division.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/staircase.h"

namespace stnas {
namespace {

// Point numbers in rising, that is lexicographic, order.
using Points = std::vector<std::size_t>;

struct Division {
  Points below, at, above;
};

// Comparing all pairs is faster than dividing up to about this many of them.
constexpr std::size_t kFewPairs = 4096;

Points join(const Points& left, const Points& right) {
  Points joined(left.size() + right.size());
  std::merge(left.begin(), left.end(), right.begin(), right.end(), joined.begin());
  return joined;
}

class Ranking {
 public:
  explicit Ranking(Matrix<double> points)
      : points_(points), ranks(static_cast<std::size_t>(points.rows), 0) {}

  // Ranks `set`, whose points are equal in every objective after `last`.
  void rank_within(const Points& set, std::int64_t last) {
    if (set.size() < 2) return;
    if (set.size() * set.size() <= 2 * kFewPairs) return compare_within(set, last);
    if (last == 1) return sweep_within(set);
    const Division parts = divide(set, median(set, {}, last), last);
    if (parts.at.size() == set.size()) return rank_within(set, last - 1);
    rank_within(parts.below, last);
    rank_after(parts.below, parts.at, last - 1);
    rank_within(parts.at, last - 1);
    rank_after(join(parts.below, parts.at), parts.above, last - 1);
    rank_within(parts.above, last);
  }

 private:
  double value(std::size_t point, std::int64_t objective) const {
    return points_.row(static_cast<std::int64_t>(point))[objective];
  }

  // Raises the ranks of `later` above those of the points in `earlier` that dominate them, where
  // no point of `earlier` is worse than one of `later` in the objectives after `last`, and some
  // objective after `last` is strictly better; the ranks of `earlier` are final.
  void rank_after(const Points& earlier, const Points& later, std::int64_t last) {
    if (earlier.empty() || later.empty()) return;
    if (earlier.size() * later.size() <= kFewPairs) return compare_between(earlier, later, last);
    if (last == 1) return sweep_between(earlier, later);
    const auto [best, worst_earlier] = extremes(earlier, last);
    const auto [best_later, worst] = extremes(later, last);
    if (best > worst) return;
    if (worst_earlier <= best_later) return rank_after(earlier, later, last - 1);
    const double middle = median(earlier, later, last);
    const Division from = divide(earlier, middle, last);
    const Division to = divide(later, middle, last);
    rank_after(from.below, to.below, last);
    rank_after(join(from.below, from.at), to.at, last - 1);
    rank_after(join(from.below, from.at), to.above, last - 1);
    rank_after(from.above, to.above, last);
  }

  bool covers(std::size_t left, std::size_t right, std::int64_t last) const {
    const double* a = points_.row(static_cast<std::int64_t>(left));
    const double* b = points_.row(static_cast<std::int64_t>(right));
    for (std::int64_t objective = 0; objective <= last; ++objective) {
      if (a[objective] > b[objective]) return false;
    }
    return true;
  }

  void raise_above(std::size_t point, std::size_t dominator, std::int64_t last) {
    if (ranks[dominator] >= ranks[point] && covers(dominator, point, last)) {
      ranks[point] = ranks[dominator] + 1;
    }
  }

  void compare_within(const Points& set, std::int64_t last) {
    for (std::size_t index = 1; index < set.size(); ++index) {
      for (std::size_t other = 0; other < index; ++other) {
        raise_above(set[index], set[other], last);
      }
    }
  }

  // A dominator always comes first in lexicographic order.
  void compare_between(const Points& earlier, const Points& later, std::int64_t last) {
    for (const std::size_t point : later) {
      for (const std::size_t other : earlier) {
        if (other > point) break;
        raise_above(point, other, last);
      }
    }
  }

  void sweep_within(const Points& set) {
    Staircase stairs;
    for (const std::size_t point : set) {
      ranks[point] = std::max(ranks[point], stairs.rank_at(value(point, 1)) + 1);
      stairs.add(value(point, 1), ranks[point]);
    }
  }

  void sweep_between(const Points& earlier, const Points& later) {
    Staircase stairs;
    auto next = earlier.begin();
    for (const std::size_t point : later) {
      for (; next != earlier.end() && *next < point; ++next) {
        stairs.add(value(*next, 1), ranks[*next]);
      }
      ranks[point] = std::max(ranks[point], stairs.rank_at(value(point, 1)) + 1);
    }
  }

  std::pair<double, double> extremes(const Points& set, std::int64_t objective) const {
    double low = value(set.front(), objective);
    double high = low;
    for (const std::size_t point : set) {
      low = std::min(low, value(point, objective));
      high = std::max(high, value(point, objective));
    }
    return {low, high};
  }

  double median(const Points& left, const Points& right, std::int64_t objective) const {
    std::vector<double> values;
    values.reserve(left.size() + right.size());
    for (const std::size_t point : left) values.push_back(value(point, objective));
    for (const std::size_t point : right) values.push_back(value(point, objective));
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
  }

  Division divide(const Points& set, double middle, std::int64_t objective) const {
    Division parts;
    for (const std::size_t point : set) {
      const double here = value(point, objective);
      (here < middle ? parts.below : here > middle ? parts.above : parts.at).push_back(point);
    }
    return parts;
  }

  Matrix<double> points_;

 public:
  std::vector<std::int64_t> ranks;
};

}  // namespace

std::vector<std::int64_t> rank_by_division(Matrix<double> points) {
  Points all(static_cast<std::size_t>(points.rows));
  std::iota(all.begin(), all.end(), std::size_t{0});
  Ranking ranking(points);
  ranking.rank_within(all, points.columns - 1);
  return std::move(ranking.ranks);
}

}  // namespace stnas
