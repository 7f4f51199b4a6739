// Partial sums: two accumulators in turn, and those of the chunks, gathered and added in order.
#pragma once

#include "host/parallel.h"

namespace stnas::cpu::STNAS_ISA {

// values[0] += values[1] + ... in order, `parts` runs of `size`.
template <class T>
void add_parts(const Executor& executor, index parts, index size, T* values) {
  constexpr index kRun = 4096;
  parallel(executor, (size + kRun - 1) / kRun, parts * size / kLanes, [&](index run) {
    const index end = least(size, (run + 1) * kRun);
    for (index p = 1; p < parts; ++p)
      for (index i = run * kRun; i < end; ++i) values[i] += values[p * size + i];
  });
}

// use(i, i % 2) for every i < count. Inlined, the second is a constant, so that the pair of
// accumulators that it chooses from stays in registers.
template <class Use>
STNAS_INLINE void in_pairs(index count, const Use& use) {
  index i = 0;
  for (; i + 2 <= count; i += 2) use(i, 0), use(i + 1, 1);
  if (i < count) use(i, 0);
}

// to[lane] += v[lane].
template <class T, int N>
STNAS_INLINE void add_lanes(Vec<T, N> v, double* to) {
  T lane[N];
  store(lane, v);
  for (index i = 0; i < N; ++i) to[i] += double(lane[i]);
}

}  // namespace stnas::cpu::STNAS_ISA
