#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace stnas {

// Answers "the largest rank added at or below this height": the steps rise in height and in rank,
// and a step that a lower one with the same or a larger rank hides is not kept.
class Staircase {
 public:
  // Returns -1 where nothing lies at or below the height.
  std::int64_t rank_at(double height) const {
    const auto above =
        std::upper_bound(steps_.begin(), steps_.end(), height,
                         [](double wanted, const Step& step) { return wanted < step.height; });
    return above == steps_.begin() ? -1 : (above - 1)->rank;
  }

  void add(double height, std::int64_t rank) {
    if (rank_at(height) >= rank) return;
    const auto begin =
        std::lower_bound(steps_.begin(), steps_.end(), height,
                         [](const Step& step, double wanted) { return step.height < wanted; });
    const auto end =
        std::find_if(begin, steps_.end(), [rank](const Step& step) { return step.rank > rank; });
    if (begin == end) {
      steps_.insert(begin, {height, rank});
    } else {
      *begin = {height, rank};
      steps_.erase(begin + 1, end);
    }
  }

 private:
  struct Step {
    double height;
    std::int64_t rank;
  };
  std::vector<Step> steps_;
};

}  // namespace stnas
