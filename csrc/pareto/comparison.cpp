#include "pareto/comparison.h"

#include <algorithm>

#define STNAS_INLINE inline __attribute__((always_inline))

namespace stnas {
namespace {

template <class T, int bytes>
struct Register {
  typedef T type __attribute__((vector_size(bytes)));
};

template <class To, class From>
STNAS_INLINE void load(To& to, const From* from) {
  __builtin_memcpy(&to, from, sizeof to);
}

// The loop over the earlier points; `count` is a whole number of blocks.
template <int bytes, class V, class R>
STNAS_INLINE R highest(const Crowd<V, R>& crowd, const V* point, std::int64_t count) {
  using Values = typename Register<V, bytes>::type;
  using Ranks = typename Register<R, bytes>::type;
  const V* values = crowd.values.data();
  const R* ranks = crowd.ranks.data();
  Ranks best{};
  for (std::int64_t i = 0; i < count; i += bytes / static_cast<std::int64_t>(sizeof(V))) {
    Ranks rank;
    load(rank, ranks + i);
    for (std::int64_t k = 0; k < crowd.columns; ++k) {
      Values value;
      load(value, values + k * crowd.stride + i);
      rank = value <= Values{} + point[k] ? rank : Ranks{};
    }
    best = best < rank ? rank : best;
  }
  R largest = 0;
  for (std::size_t i = 0; i < bytes / sizeof(R); ++i) largest = std::max<R>(largest, best[i]);
  return largest;
}

template <class V, class R>
STNAS_INLINE std::int64_t whole_blocks(std::int64_t count) {
  constexpr std::int64_t kBlock = Crowd<V, R>::kBlock;
  return (count + kBlock - 1) / kBlock * kBlock;
}

template <int bytes, class V, class R>
STNAS_INLINE void rank_all(Crowd<V, R>& crowd, V* point, const R* least) {
  for (std::int64_t i = 0; i < crowd.size; ++i) {
    for (std::int64_t k = 0; k < crowd.columns; ++k) point[k] = crowd.column(k)[i];
    const R best = highest<bytes>(crowd, point, whole_blocks<V, R>(i));
    crowd.ranks[static_cast<std::size_t>(i)] =
        best < least[i] ? least[i] : static_cast<R>(best + 1);
  }
}

// One pair of functions per instruction set.
#define STNAS_COMPARE(isa, bytes, target)                                                \
  template <class V, class R>                                                            \
  target void rank_##isa(Crowd<V, R>& crowd, V* point, const R* least) {                 \
    rank_all<bytes>(crowd, point, least);                                                \
  }                                                                                      \
  template <class V, class R>                                                            \
  target R highest_##isa(const Crowd<V, R>& crowd, const V* point, std::int64_t count) { \
    return highest<bytes>(crowd, point, count);                                          \
  }
STNAS_COMPARE(plain, 16, )
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define STNAS_X86
STNAS_COMPARE(avx2, 32, __attribute__((target("avx2"))))
STNAS_COMPARE(avx512, 64, __attribute__((target("avx512bw,avx512vl,avx512dq"))))
#endif
#undef STNAS_COMPARE

enum class Set { plain, avx2, avx512 };

Set choose() {
#ifdef STNAS_X86
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq")) {
    return Set::avx512;
  }
  if (__builtin_cpu_supports("avx2")) return Set::avx2;
#endif
  return Set::plain;
}

const Set kSet = choose();

}  // namespace

template <class V, class R>
void rank_in_order(Crowd<V, R>& crowd, const R* least) {
  std::vector<V> point(static_cast<std::size_t>(crowd.columns));
#ifdef STNAS_X86
  if (kSet == Set::avx512) return rank_avx512(crowd, point.data(), least);
  if (kSet == Set::avx2) return rank_avx2(crowd, point.data(), least);
#endif
  rank_plain(crowd, point.data(), least);
}

template <class V, class R>
R highest_rank(const Crowd<V, R>& crowd, const V* point, std::int64_t count) {
  const std::int64_t blocks = whole_blocks<V, R>(count);
#ifdef STNAS_X86
  if (kSet == Set::avx512) return highest_avx512(crowd, point, blocks);
  if (kSet == Set::avx2) return highest_avx2(crowd, point, blocks);
#endif
  return highest_plain(crowd, point, blocks);
}

#define STNAS_INSTANTIATE(V, R)                        \
  template void rank_in_order(Crowd<V, R>&, const R*); \
  template R highest_rank(const Crowd<V, R>&, const V*, std::int64_t);
STNAS_INSTANTIATE(double, std::uint64_t)
STNAS_INSTANTIATE(std::uint32_t, std::uint32_t)
STNAS_INSTANTIATE(std::uint16_t, std::uint16_t)
#undef STNAS_INSTANTIATE

}  // namespace stnas
