// Partial sums of the chunks: gathered, added in order, brought to PyTorch's layouts.
#pragma once

#include "host/plan.h"

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

// [block][columns][16] as [M, columns].
template <class T>
void unpack_columns(const Shape& s, const Executor& executor, const T* from, index columns, T* to) {
  for_each_block(s, executor, columns * kLanes, [&](index b) {
    for (index i = b * kLanes; i < least(s.hidden, (b + 1) * kLanes); ++i)
      for (index c = 0; c < columns; ++c)
        to[i * columns + c] = from[(b * columns + c) * kLanes + i % kLanes];
  });
}

// to[lane] += v[lane].
template <class T, int N>
STNAS_INLINE void add_lanes(Vec<T, N> v, double* to) {
  T lane[N];
  store(lane, v);
  for (index i = 0; i < N; ++i) to[i] += double(lane[i]);
}

}  // namespace stnas::cpu::STNAS_ISA
