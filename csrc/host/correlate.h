// Products over the rows of both operands: the shape of every weight gradient.
#pragma once

#include "host/tiles.h"

namespace stnas::cpu::STNAS_ISA {

template <int Count, int N, class T, class Use>
STNAS_INLINE void correlate_rows(index first, index count, const T* a, index lda, const T* b,
                                 index ldb, const Use& use) {
  Vec<T, N> acc[Count];
#pragma GCC unroll 32
  for (int i = 0; i < Count; ++i) acc[i] = zero<T, N>();
  for (index q = 0; q < count; ++q) {
    const auto right = load<N>(b + q * ldb);
#pragma GCC unroll 32
    for (int i = 0; i < Count; ++i) acc[i] = acc[i] + broadcast<N>(a[q * lda + first + i]) * right;
  }
#pragma GCC unroll 32
  for (int i = 0; i < Count; ++i) use(first + i, acc[i]);
}

#ifdef __AVX512BF16__
// The same with pairs of rows: a is [q / 2][lda][2], b is [q / 2][16][2], count is even.
template <int Count, int N, class Use>
STNAS_INLINE void correlate_rows(index first, index count, const BFloat16* a, index lda,
                                 const BFloat16* b, index ldb, const Use& use) {
  Vec<float, N> acc[Count];
#pragma GCC unroll 32
  for (int i = 0; i < Count; ++i) acc[i] = zero<float, N>();
  for (index q = 0; q < count; q += 2)
#pragma GCC unroll 32
    for (int i = 0; i < Count; ++i) add_pairs(acc[i], a + q * lda + 2 * (first + i), b + q * ldb);
#pragma GCC unroll 32
  for (int i = 0; i < Count; ++i) use(first + i, acc[i]);
}
#endif

// use(i, sum_q a[q, i] b[q, :N]) for every column i of a: the shape of every weight gradient.
template <int N = kLanes, class T, class Use>
STNAS_INLINE void correlate(index columns, index count, const T* a, index lda, const T* b,
                            index ldb, const Use& use) {
  constexpr int kMost = kBudget<Wide<T>, N>, kTile = kMost >= 24 ? 24 : kMost;
  index i = 0;
  for (; i + kTile <= columns; i += kTile) correlate_rows<kTile, N>(i, count, a, lda, b, ldb, use);
  if constexpr (kTile > 16)
    if (i + 16 <= columns) correlate_rows<16, N>(i, count, a, lda, b, ldb, use), i += 16;
  if constexpr (kTile > 8)
    if (i + 8 <= columns) correlate_rows<8, N>(i, count, a, lda, b, ldb, use), i += 8;
  if constexpr (kTile > 4)
    if (i + 4 <= columns) correlate_rows<4, N>(i, count, a, lda, b, ldb, use), i += 4;
  if constexpr (kTile > 2)
    if (i + 2 <= columns) correlate_rows<2, N>(i, count, a, lda, b, ldb, use), i += 2;
  if constexpr (kTile > 1)
    if (i + 1 <= columns) correlate_rows<1, N>(i, count, a, lda, b, ldb, use);
}

#ifdef STNAS_HAS_TILES
// The same for operands of tiles: a transposed and padded as operand.h does.
template <int N = kLanes, class Use>
void correlate(index columns, index count, const BFloat16* a, index lda, const BFloat16* b, index,
               const Use& use) {
  multiply_by_tiles<N>(columns, round_up(columns, kTileRows), a, lda, round_up(count, kTileStep), b,
                       use);
}
#endif

// The column sums of b[q, :N].
template <int N = kLanes, class S>
STNAS_INLINE Vec<Wide<S>, N> column_sums(index count, const S* b, index ldb) {
  using T = Wide<S>;
  Vec<T, N> acc[4] = {zero<T, N>(), zero<T, N>(), zero<T, N>(), zero<T, N>()};
  index q = 0;
  for (; q + 4 <= count; q += 4)
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) acc[i] = acc[i] + load<N>(b + (q + i) * ldb);
  for (; q < count; ++q) acc[0] = acc[0] + load<N>(b + q * ldb);
  return (acc[0] + acc[1]) + (acc[2] + acc[3]);
}

}  // namespace stnas::cpu::STNAS_ISA
