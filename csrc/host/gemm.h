// Register-blocked products with one channel block (16 columns) on the right-hand side.
#pragma once

#include "host/tiles.h"

namespace stnas::cpu::STNAS_ISA {

// The left operand of `multiply`: row i, column k stands at data[(k / width) * step + i * row + k %
// width], which covers plain rows (one panel) and planes of 16 channels (row = width = 16).
template <class T>
struct Rows {
  const T* data;
  index row;
  index width;
  index panels = 1;
  index step = 0;
};

// acc[i] += sum_k a[i, k] b[k, lane] for Count rows. Three rows share a pointer (x86 addressing).
template <int Count, int N, class T>
STNAS_INLINE void multiply_tile(Vec<T, N> (&acc)[Count], const T* a, index row, index depth,
                                const T* b) {
  constexpr int kPointers = (Count + 2) / 3;
  const T* at[kPointers];
#pragma GCC unroll 32
  for (int i = 0; i < kPointers; ++i) at[i] = a + 3 * i * row;
  for (index k = 0; k < depth; ++k) {
    const auto right = load<N>(b + k * kLanes);
#pragma GCC unroll 32
    for (int i = 0; i < Count; ++i)
      acc[i] = acc[i] + broadcast<N>(at[i / 3][(i % 3) * row + k]) * right;
  }
}

#ifdef __AVX512BF16__
// The same with pairs of columns: b is packed [k / 2][16][2], depth is even.
template <int Count, int N>
STNAS_INLINE void multiply_tile(Vec<float, N> (&acc)[Count], const BFloat16* a, index row,
                                index depth, const BFloat16* b) {
  constexpr int kPointers = (Count + 2) / 3;
  const BFloat16* at[kPointers];
#pragma GCC unroll 32
  for (int i = 0; i < kPointers; ++i) at[i] = a + 3 * i * row;
  for (index k = 0; k < depth; k += 2)
#pragma GCC unroll 32
    for (int i = 0; i < Count; ++i)
      add_pairs(acc[i], at[i / 3] + (i % 3) * row + k, b + k * kLanes);
}
#endif

template <int Count, int N, class T, class Epilogue>
STNAS_INLINE void multiply_rows(index first, const Rows<T>& a, const T* b, const Epilogue& use) {
  Vec<Wide<T>, N> acc[Count];
#pragma GCC unroll 32
  for (int i = 0; i < Count; ++i) acc[i] = zero<Wide<T>, N>();
  for (index p = 0; p < a.panels; ++p)
    multiply_tile<Count, N>(acc, a.data + p * a.step + first * a.row, a.row, a.width,
                            b + p * a.width * kLanes);
#pragma GCC unroll 32
  for (int i = 0; i < Count; ++i) use(first + i, acc[i]);
}

// use(i, sum_k a[i, k] b[k, :N]) for every row i; b is packed [k][16], or in pairs.
template <int N = kLanes, class T, class Epilogue>
STNAS_INLINE void multiply(index rows, const Rows<T>& a, const T* b, const Epilogue& use) {
  constexpr int kMost = kBudget<Wide<T>, N>, kTile = kMost >= 14 ? 14 : kMost;
  index i = 0;
  for (; i + kTile <= rows; i += kTile) multiply_rows<kTile, N>(i, a, b, use);
  if constexpr (kTile > 8)
    if (i + 8 <= rows) multiply_rows<8, N>(i, a, b, use), i += 8;
  if constexpr (kTile > 4)
    if (i + 4 <= rows) multiply_rows<4, N>(i, a, b, use), i += 4;
  if constexpr (kTile > 2)
    if (i + 2 <= rows) multiply_rows<2, N>(i, a, b, use), i += 2;
  if constexpr (kTile > 1)
    if (i + 1 <= rows) multiply_rows<1, N>(i, a, b, use);
}

// Two channel blocks of the right-hand side at a time: fewer loads a multiply-add. b's blocks stand
// `step` values apart; use(i, block, v).
template <int Count, class T, class Epilogue>
STNAS_INLINE void multiply_pair_rows(index first, const Rows<T>& a, const T* b, index step,
                                     const Epilogue& use) {
  Vec<T> acc[Count][2];
  for (auto& row : acc) row[0] = row[1] = zero<T>();
  for (index p = 0; p < a.panels; ++p, b += a.width * kLanes) {
    const T* at = a.data + p * a.step + first * a.row;
    for (index k = 0; k < a.width; ++k) {
      const auto left = load(b + k * kLanes), right = load(b + step + k * kLanes);
#pragma GCC unroll 32
      for (int i = 0; i < Count; ++i) {
        const auto value = broadcast(at[i * a.row + k]);
        acc[i][0] = acc[i][0] + value * left;
        acc[i][1] = acc[i][1] + value * right;
      }
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < Count; ++i) {
    use(first + i, 0, acc[i][0]);
    use(first + i, 1, acc[i][1]);
  }
}

template <class T, class Epilogue>
STNAS_INLINE void multiply_pair(index rows, const Rows<T>& a, const T* b, index step,
                                const Epilogue& use) {
  index i = 0;
  for (; i + 12 <= rows; i += 12) multiply_pair_rows<12>(i, a, b, step, use);
  for (; i + 4 <= rows; i += 4) multiply_pair_rows<4>(i, a, b, step, use);
  for (; i < rows; ++i) multiply_pair_rows<1>(i, a, b, step, use);
}

#ifdef STNAS_HAS_TILES
// The same for operands of tiles, rows padded as operand.h does.
template <int N = kLanes, class Use>
void multiply(index rows, const Rows<BFloat16>& a, const BFloat16* b, const Use& use) {
  multiply_by_tiles<N>(rows, rows, a.data, a.row, a.width, b, use);
}
#endif

// Whether a tile of two blocks fits the registers and spares loads.
template <class T>
constexpr bool kPairsBlocks = sizeof(T) == 4 && kRegisterBytes == 64;

// use(i, block, v) with v = sum_k a[i, k] b[block][k] for every row i and block of b.
template <class T, class Use>
STNAS_INLINE void multiply_blocks(index blocks, index rows, const Rows<T>& a, const T* b,
                                  const Use& use) {
  const index step = a.panels * a.width * kLanes;
  index block = 0;
  if constexpr (kPairsBlocks<T>)
    for (; block + 2 <= blocks; block += 2)
      multiply_pair(rows, a, b + block * step, step,
                    [&](index i, index which, Vec<T> v)
                        __attribute__((always_inline)) { use(i, block + which, v); });
  for (; block < blocks; ++block)
    multiply(rows, a, b + block * step,
             [&](index i, Vec<Wide<T>> v) __attribute__((always_inline)) { use(i, block, v); });
}

// The same for the blocks of `columns` columns: use(i, j, v) with the 16 columns from j on, or the
// last up to 8.
template <class T, class Use>
STNAS_INLINE void multiply_columns(index columns, index rows, const Rows<T>& a, const T* b,
                                   const Use& use) {
  index blocks = (columns + kLanes / 2 - 1) / kLanes;
  if (kPairsBlocks<T> && blocks % 2 == 1 && blocks * kLanes < columns) ++blocks;
  multiply_blocks(blocks, rows, a, b,
                  [&](index i, index block, Vec<Wide<T>> v)
                      __attribute__((always_inline)) { use(i, block * kLanes, v); });
  const index j = blocks * kLanes;
  if (j < columns)
    multiply<kLanes / 2>(rows, a, b + j * a.panels * a.width,
                         [&](index i, Vec<Wide<T>, kLanes / 2> v)
                             __attribute__((always_inline)) { use(i, j, v); });
}

}  // namespace stnas::cpu::STNAS_ISA
