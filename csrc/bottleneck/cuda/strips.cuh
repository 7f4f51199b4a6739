// What one warp makes of tiles in shared memory: 16 rows of the first times 32 of the second.
#pragma once

#include "device/tiles.cuh"

namespace stnas::cuda {

constexpr int kStrip = 16;  // rows

// Of each arithmetic: the tiles, of which the first has the rows of four warps; in which row of the
// second the terms of a column belong; use(row, column, sums of neighbours).
template <class Math>
struct Strip;

// Lane (i, j) of [4, 8] adds up rows 4 i to 4 i + 3 and columns 4 j to 4 j + 3.
template <class T>
struct Strip<MultiplyAdd<T>> {
  using Left = typename MultiplyAdd<T>::template Tile<false>;
  using Right = typename MultiplyAdd<T>::template Tile<false, 32>;
  T at[4][4] = {};

  __device__ static int place(int column) { return column; }

  __device__ void multiply(const Left& a, int row, const Right& b) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int k = 0; k < MultiplyAdd<T>::kDepth; ++k) {
      const auto left = whole<4>(&a.at[k][row + lane / 8 * 4]);
      const auto right = whole<4>(&b.at[k][lane % 8 * 4]);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) at[i][j] += left.at[i] * right.at[j];
      }
    }
  }

  template <class Use>
  __device__ void each(const Use& use) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      use(lane / 8 * 4 + i, lane % 8 * 4, Pack<T, 4>{{at[i][0], at[i][1], at[i][2], at[i][3]}});
    }
  }
};

// Lane 4 g + t has of every eight columns of an operand the columns 2 t and 2 t + 1 of rows g and
// g + 8. They lie in an order that makes those of all four eights neighbours: from 8 t on.
template <>
struct Strip<TensorCores> {
  using Left = TensorCores::Tile<false>;
  using Right = TensorCores::Tile<false, 32>;
  float at[1][4][4] = {};

  __device__ static int place(int column) {
    return column % 8 / 2 * 8 + column / 8 * 2 + column % 2;
  }

  __device__ void multiply(const Left& a, int row, const Right& b) {
    TensorCores::multiply<1>(a, row, b, 0, at);
  }

  template <class Use>
  __device__ void each(const Use& use) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      Pack<float, 8> value;
#pragma unroll
      for (int i = 0; i < 8; ++i) value.at[i] = at[0][i / 2][2 * half + i % 2];
      use(lane / 4 + 8 * half, lane % 4 * 8, value);
    }
  }
};

}  // namespace stnas::cuda
