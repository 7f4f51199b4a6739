// Products of tiles in shared memory: multiply-adds for float32 and float64, tensor cores for
// bfloat16. A block of 128 threads makes 64 x 64 sums from two tiles of `kDepth` terms.
#pragma once

#include "device/numbers.cuh"

namespace stnas::cuda {

constexpr int kBlock = 128;  // threads
constexpr int kTile = 64;    // rows and columns of a block's sums

// Thread (i, j) of [8, 16] adds up rows 8 i to 8 i + 7 and columns 4 j to 4 j + 3. A tile lies as
// [depth][side], whatever its source; four more columns keep vectors aligned and banks apart.
template <class T>
struct MultiplyAdd {
  static constexpr int kDepth = 16, kColumns = 4;

  template <bool by_depth, int side = kTile>
  struct Tile {
    alignas(16) T at[kDepth][side + 4];

    template <int N>
    __device__ void put(int row, int column, const Pack<T, N>& values) {
#pragma unroll
      for (int i = 0; i < N; i += 4) {
        if constexpr (by_depth) {
          *reinterpret_cast<Pack<T, 4>*>(&at[row][column + i]) = {
              {values.at[i], values.at[i + 1], values.at[i + 2], values.at[i + 3]}};
        } else {
          for (int j = i; j < i + 4; ++j) at[column + j][row] = values.at[j];
        }
      }
    }
  };

  struct Result {};  // the sums need no shared memory

  struct Sums {
    T at[8][4] = {};
  };

  template <bool a_by_depth, bool b_by_depth>
  __device__ static void multiply(const Tile<a_by_depth>& a, const Tile<b_by_depth>& b,
                                  Sums& sums) {
    const int row = static_cast<int>(threadIdx.x) / 16 * 8, column = threadIdx.x % 16 * 4;
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
      const auto left = whole<8>(&a.at[k][row]);
      const auto right = whole<4>(&b.at[k][column]);
#pragma unroll
      for (int i = 0; i < 8; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) sums.at[i][j] += left.at[i] * right.at[j];
      }
    }
  }

  // use(row, column, four sums)
  template <class Use>
  __device__ static void each(const Sums& sums, Result&, const Use& use) {
    const int row = static_cast<int>(threadIdx.x) / 16 * 8, column = threadIdx.x % 16 * 4;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const T* at = sums.at[i];
      use(row + i, column, Pack<T, 4>{{at[0], at[1], at[2], at[3]}});
    }
  }
};

// Warp (i, j) of [2, 2] makes 32 x 32 sums by mma.m16n8k16. A tile lies as its source does; eight
// more columns put the rows of a matrix into different banks.
struct TensorCores {
  static constexpr int kDepth = 32, kColumns = 8;

  template <bool by_depth, int side = kTile>
  struct Tile {
    alignas(16) uint16_t at[by_depth ? kDepth : side][(by_depth ? side : kDepth) + 8];

    __device__ void put(int row, int column, const Pack<float, 8>& values) {
      Pack<uint16_t, 8> stored;
#pragma unroll
      for (int i = 0; i < 8; ++i) stored.at[i] = round_to_bfloat16(values.at[i]);
      *reinterpret_cast<Pack<uint16_t, 8>*>(&at[row][column]) = stored;
    }

    // The 16 x 16 values from (first, depth): four matrices, their registers in the order
    // (first, depth), (first + 8, depth), (first, depth + 8), (first + 8, depth + 8) of operand a,
    // or with the two in the middle exchanged for two operands b.
    template <bool as_a>
    __device__ void load(int first, int depth, uint32_t (&to)[4]) const {
      const int lane = threadIdx.x % 32, low = lane / 8 % 2 * 8, high = lane / 16 * 8;
      const int i = first + (as_a ? low : high), k = depth + (as_a ? high : low), r = lane % 8;
      if constexpr (by_depth) {
        load_matrices<true>(to, &at[k + r][i]);
      } else {
        load_matrices<false>(to, &at[i + r][k]);
      }
    }
  };

  struct Result {
    alignas(16) float at[kTile][kTile + 8];
  };

  struct Sums {
    float at[2][4][4] = {};  // [16 rows][8 columns][register]
  };

  __device__ static int first_row() { return static_cast<int>(threadIdx.x) / 64 * 32; }
  __device__ static int first_column() { return static_cast<int>(threadIdx.x) / 32 % 2 * 32; }

  // A warp's part: `strips` times 16 rows of a from `row` on, 32 of b from `column` on.
  template <int strips, class A, class B>
  __device__ static void multiply(const A& a, int row, const B& b, int column,
                                  float (&sums)[strips][4][4]) {
#pragma unroll
    for (int k = 0; k < kDepth; k += 16) {
      uint32_t left[strips][4], right[2][4];
#pragma unroll
      for (int i = 0; i < strips; ++i) a.template load<true>(row + 16 * i, k, left[i]);
#pragma unroll
      for (int i = 0; i < 2; ++i) b.template load<false>(column + 16 * i, k, right[i]);
#pragma unroll
      for (int i = 0; i < strips; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          multiply_matrices(sums[i][j], left[i], right[j / 2] + j % 2 * 2);
        }
      }
    }
  }

  template <bool a_by_depth, bool b_by_depth>
  __device__ static void multiply(const Tile<a_by_depth>& a, const Tile<b_by_depth>& b,
                                  Sums& sums) {
    multiply<2>(a, first_row(), b, first_column(), sums.at);
  }

  // The sums go through shared memory, so that a thread gets eight neighbours.
  template <class Use>
  __device__ static void each(const Sums& sums, Result& result, const Use& use) {
    const int lane = threadIdx.x % 32;
    const int row = first_row() + lane / 4, column = first_column() + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
#pragma unroll
        for (int r = 0; r < 4; ++r) {
          result.at[row + 16 * i + r / 2 * 8][column + 8 * j + r % 2] = sums.at[i][j][r];
        }
      }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < kTile * kTile / 8; i += kBlock) {
      use(i / 8, i % 8 * 8, whole<8>(&result.at[i / 8][i % 8 * 8]));
    }
  }
};

template <class S>
struct ArithmeticOf {
  using type = MultiplyAdd<S>;
};
template <>
struct ArithmeticOf<BFloat16> {
  using type = TensorCores;
};
template <class S>
using Arithmetic = typename ArithmeticOf<S>::type;

}  // namespace stnas::cuda
