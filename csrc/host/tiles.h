// Products of bfloat16 by tiles: 16 rows by one channel block at a time.
#pragma once

#include <type_traits>

#include "host/bfloat16.h"
#include "host/parallel.h"
#include "host/scratch.h"

#ifdef STNAS_HAS_TILES
namespace stnas::cpu::STNAS_ISA {

// use(t) for t in [0, Count).
template <int Count, class Use>
STNAS_INLINE void for_each_tile(const Use& use) {
  if constexpr (Count > 1) for_each_tile<Count - 1>(use);
  use(std::integral_constant<int, Count - 1>{});
}

// Adds the product of a's columns [k, k + depth of the registers Left and Right) to the sums.
template <int Count, int Left, int Right>
STNAS_INLINE void add_tiles(const BFloat16* a, index row, index k, const BFloat16* b) {
  tile_load<Right>(b + k * kLanes, 2 * kLanes * sizeof *b);
  for_each_tile<Count>([&](auto t) __attribute__((always_inline)) {
    tile_load<Left>(a + t * kTileRows * row + k, row * index(sizeof *a));
    tile_multiply<t, Left, Right>();
  });
}

// use(i, row i of the product) for 16 Count rows from `first` on, of these the `wanted`.
template <int Count, int N, class Use>
STNAS_INLINE void multiply_tiles(index first, Range wanted, const BFloat16* a, index row,
                                 index depth, const BFloat16* b, const Use& use) {
  alignas(64) float sums[Count * kTileRows * kLanes];
  for_each_tile<Count>([](auto t) __attribute__((always_inline)) { tile_zero<t>(); });
  index k = 0;
  for (; k + kTileDepth <= depth; k += kTileDepth)
    add_tiles<Count, 4, 5>(a + first * row, row, k, b);
  if (k < depth) add_tiles<Count, 6, 7>(a + first * row, row, k, b);
  for_each_tile<Count>(
      [&](auto t) __attribute__((always_inline)) { tile_store<t>(sums + t * kTileRows * kLanes); });
  const index end = least(wanted.end, first + Count * kTileRows);
  for (index i = most(wanted.begin, first); i < end; ++i)
    use(i, load<N>(sums + (i - first) * kLanes));
}

// use(i, sum_k a[i, k] b[k, :N]) for every row i; `readable` rows of a are memory, at least as
// many. b is packed in pairs; the depth is a multiple of kTileStep.
template <int N, class Use>
STNAS_INLINE void multiply_by_tiles(index rows, index readable, const BFloat16* a, index row,
                                    index depth, const BFloat16* b, const Use& use) {
  if (readable < kTileRows) {
    Scratch scratch;
    auto* copy = scratch.zeros<BFloat16>(kTileRows * depth);
    for (index i = 0; i < readable; ++i)
      __builtin_memcpy(copy + i * depth, a + i * row, size_t(depth) * sizeof *a);
    return multiply_tiles<1, N>(0, {0, rows}, copy, depth, depth, b, use);
  }
  index i = 0;
  for (; i + 4 * kTileRows <= readable && i < rows; i += 4 * kTileRows)
    multiply_tiles<4, N>(i, {i, rows}, a, row, depth, b, use);
  for (; i < rows; i += kTileRows)
    multiply_tiles<1, N>(least(i, readable - kTileRows), {i, rows}, a, row, depth, b, use);
}

}  // namespace stnas::cpu::STNAS_ISA
#endif
