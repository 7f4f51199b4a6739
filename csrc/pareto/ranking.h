#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "host/matrix.h"
#include "pareto/comparison.h"
#include "pareto/order.h"
#include "pareto/staircase.h"

namespace stnas {

// Point numbers in rising, that is lexicographic, order.
using Points = std::vector<std::size_t>;

struct Division {
  Points below, at, above;
};

// Comparing all pairs in vectors is faster than dividing up to about this many points.
constexpr std::size_t kFew = 3000;
constexpr std::size_t kFewBetween = 1500;
// A sweep over two objectives beats comparing more than this many points.
constexpr std::size_t kFewSwept = 1000;
inline Points join(const Points& left, const Points& right) {
  Points joined(left.size() + right.size());
  std::merge(left.begin(), left.end(), right.begin(), right.end(), joined.begin());
  return joined;
}

// V holds the place of a value among the distinct values of its objective, and ranks plus one.
template <class V>
class Ranking {
 public:
  explicit Ranking(Matrix<double> points)
      : size_(static_cast<std::size_t>(points.rows)),
        places_(size_ * static_cast<std::size_t>(points.columns)),
        ranks(size_, 1) {
    for (std::int64_t objective = 0; objective < points.columns; ++objective) {
      V* places = places_.data() + size_ * static_cast<std::size_t>(objective);
      V place = 0;
      std::uint64_t last = 0;
      for (const Key& key : sort_column(points, objective)) {
        place = static_cast<V>(place + (key.value != last && last != 0));
        last = key.value;
        places[key.row] = place;
      }
    }
  }

  // Ranks `set`, whose points are equal in every objective after `last`.
  void rank_within(const Points& set, std::int64_t last) {
    if (set.size() < 2) return;
    if (set.size() <= kFew) return compare_within(set, last);
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
  V value(std::size_t point, std::int64_t objective) const {
    return places_[static_cast<std::size_t>(objective) * size_ + point];
  }

  // Raises the ranks of `later` above those of the points in `earlier` that dominate them, where
  // no point of `earlier` is worse than one of `later` in the objectives after `last`, and some
  // objective after `last` is strictly better; the ranks of `earlier` are final.
  void rank_after(const Points& earlier, const Points& later, std::int64_t last) {
    if (earlier.empty() || later.empty()) return;
    if (last == 1 && earlier.size() + later.size() > kFewSwept)
      return sweep_between(earlier, later);
    if (std::min(earlier.size(), later.size()) <= kFewBetween) {
      return compare_between(earlier, later, last);
    }
    const auto [best, worst_earlier] = extremes(earlier, last);
    const auto [best_later, worst] = extremes(later, last);
    if (best > worst) return;
    if (worst_earlier <= best_later) return rank_after(earlier, later, last - 1);
    const V middle = median(earlier, later, last);
    const Division from = divide(earlier, middle, last);
    const Division to = divide(later, middle, last);
    rank_after(from.below, to.below, last);
    rank_after(join(from.below, from.at), to.at, last - 1);
    rank_after(join(from.below, from.at), to.above, last - 1);
    rank_after(from.above, to.above, last);
  }

  // The objectives from `first` to `last` of a set, column by column.
  Crowd<V, V> gather(const Points& set, std::int64_t first, std::int64_t last) const {
    Crowd<V, V> crowd(static_cast<std::int64_t>(set.size()), last - first + 1);
    for (std::int64_t objective = first; objective <= last; ++objective) {
      V* to = crowd.column(objective - first);
      for (const std::size_t point : set) *to++ = value(point, objective);
    }
    return crowd;
  }

  std::vector<V> ranks_of(const Points& set) const {
    std::vector<V> found;
    found.reserve(set.size());
    for (const std::size_t point : set) found.push_back(ranks[point]);
    return found;
  }

  // The order of the set takes care of the first objective.
  void compare_within(const Points& set, std::int64_t last) {
    auto crowd = gather(set, 1, last);
    const auto least = ranks_of(set);
    rank_in_order(crowd, least.data());
    for (std::size_t i = 0; i < set.size(); ++i) ranks[set[i]] = crowd.ranks[i];
  }

  // A dominator always comes first in lexicographic order.
  void compare_between(const Points& earlier, const Points& later, std::int64_t last) {
    auto crowd = gather(earlier, 0, last);
    const auto known = ranks_of(earlier);
    std::copy(known.begin(), known.end(), crowd.ranks.begin());
    std::vector<V> place(static_cast<std::size_t>(last + 1));
    for (const std::size_t point : later) {
      const auto before = std::lower_bound(earlier.begin(), earlier.end(), point) - earlier.begin();
      for (std::int64_t k = 0; k <= last; ++k) place[static_cast<std::size_t>(k)] = value(point, k);
      const V above = static_cast<V>(highest_rank(crowd, place.data(), before) + 1);
      ranks[point] = std::max(ranks[point], above);
    }
  }

  V above(const Staircase& stairs, std::size_t point) const {
    const std::int64_t found = stairs.rank_at(value(point, 1));
    return static_cast<V>(std::max<std::int64_t>(found, 0) + 1);
  }

  void sweep_within(const Points& set) {
    Staircase stairs;
    for (const std::size_t point : set) {
      ranks[point] = std::max(ranks[point], above(stairs, point));
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
      ranks[point] = std::max(ranks[point], above(stairs, point));
    }
  }

  std::pair<V, V> extremes(const Points& set, std::int64_t objective) const {
    V low = value(set.front(), objective);
    V high = low;
    for (const std::size_t point : set) {
      low = std::min(low, value(point, objective));
      high = std::max(high, value(point, objective));
    }
    return {low, high};
  }

  V median(const Points& left, const Points& right, std::int64_t objective) const {
    std::vector<V> values;
    values.reserve(left.size() + right.size());
    for (const std::size_t point : left) values.push_back(value(point, objective));
    for (const std::size_t point : right) values.push_back(value(point, objective));
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
  }

  Division divide(const Points& set, V middle, std::int64_t objective) const {
    Division parts;
    for (const std::size_t point : set) {
      const V here = value(point, objective);
      (here < middle ? parts.below : here > middle ? parts.above : parts.at).push_back(point);
    }
    return parts;
  }

  std::size_t size_;
  std::vector<V> places_;  // by objective, then by point

 public:
  std::vector<V> ranks;
};

}  // namespace stnas
