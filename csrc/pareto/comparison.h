#pragma once

#include <cstdint>
#include <vector>

namespace stnas {

// Points column by column, so that one of them is compared with many at once. V compares like the
// objectives; R holds ranks plus one and is as wide as V. The columns are padded to a whole number
// of blocks with points of rank zero, which stands for "none".
template <class V, class R>
struct Crowd {
  static constexpr std::int64_t kBlock = 64 / static_cast<std::int64_t>(sizeof(V));

  Crowd(std::int64_t points, std::int64_t objectives)
      : size(points),
        columns(objectives),
        stride((points + kBlock - 1) / kBlock * kBlock),
        values(static_cast<std::size_t>(stride * objectives)),
        ranks(static_cast<std::size_t>(stride)) {}

  V* column(std::int64_t objective) { return values.data() + objective * stride; }

  std::int64_t size, columns, stride;
  std::vector<V> values;
  std::vector<R> ranks;
};

// Ranks the points of a crowd in their order, each at least `least[i]`, above all earlier ones that
// are nowhere worse. The ranks are zero before.
template <class V, class R>
void rank_in_order(Crowd<V, R>& crowd, const R* least);

// The largest rank among the first `count` points of a crowd that are nowhere worse than `point`.
// No later one may be: the rest of the last block is looked at too.
template <class V, class R>
R highest_rank(const Crowd<V, R>& crowd, const V* point, std::int64_t count);

}  // namespace stnas
