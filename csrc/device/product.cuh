// out[i, j] = sum_k a(i, k) b(j, k): 1x1 convolutions and the gradients of their weights.
#pragma once

#include "device/tiles.cuh"

#include "device/workspace.h"

namespace stnas::cuda {

// Where sums go: [part][rows][columns], rows `stride` values apart.
template <class S>
struct Sink {
  S* at;
  int64_t rows, stride;
  int columns;
  bool wide;

  template <int N>
  __device__ void write(int64_t part, int64_t row, int column,
                        const Pack<Wide<S>, N>& values) const {
    if (row >= rows) return;
    cuda::write<N>(at + (part * rows + row) * stride + column, values, columns - column, wide);
  }
};

template <class S>
Sink<S> sink(S* at, int64_t rows, int64_t columns) {
  return {at, rows, columns, static_cast<int>(columns), is_wide(at, columns)};
}

// One tile of a source, in vectors of N along its rows, which are the sums' rows (or columns) or,
// where `by_depth`, the terms.
template <int N, bool by_depth, class Math, class Tile, class Source>
__device__ void fill(Tile& tile, const Source& source, int64_t first, int64_t depth) {
  constexpr int kVectors = (by_depth ? kTile : Math::kDepth) / N;
  for (int i = threadIdx.x; i < kTile * Math::kDepth / N; i += kBlock) {
    const int row = i / kVectors, column = i % kVectors * N;
    const int64_t at_row = (by_depth ? depth : first) + row;
    const int64_t at_column = (by_depth ? first : depth) + column;
    tile.put(row, column, source.template read<N>(at_row, at_column));
  }
}

// One block per 64 x 64 sums and part of `share` terms. Sources are read in vectors of N along
// their rows, once per tile, into shared memory; how threads share the products is the arithmetic's
// part. A source that is by depth has its terms as rows. The parts of a sum are added up later, in
// order.
template <class Math, int N, bool a_by_depth, bool b_by_depth, class A, class B, class Out>
__global__ void __launch_bounds__(kBlock)
    product_kernel(A a, B b, Out out, int64_t depth, int64_t share) {
  struct Tiles {
    typename Math::template Tile<a_by_depth> a;
    typename Math::template Tile<b_by_depth> b;
  };
  union Memory {
    Tiles tiles;
    typename Math::Result result;
  };
  SHARED(Memory, memory, [1]);
  auto& tiles = memory[0].tiles;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kTile;
  const int column = static_cast<int>(blockIdx.y) * kTile;
  const int64_t begin = blockIdx.z * share, rest = depth - begin;
  typename Math::Sums sums;
  for (int64_t k = 0; k < share && k < rest; k += Math::kDepth) {
    fill<N, a_by_depth, Math>(tiles.a, a, row, begin + k);
    fill<N, b_by_depth, Math>(tiles.b, b, column, begin + k);
    __syncthreads();
    Math::template multiply<a_by_depth, b_by_depth>(tiles.a, tiles.b, sums);
    __syncthreads();
  }
  Math::each(sums, memory[0].result, [&](int i, int j, const auto& values) {
    out.template write<Math::kColumns>(blockIdx.z, row + i, column + j, values);
  });
}

// Parts of a sum over `depth` terms: a function of sizes alone, so that results are.
struct Parts {
  int64_t share;  // terms of a part, a multiple of every depth of a tile
  int count;
};
inline Parts cut(int64_t depth, int64_t least, int64_t most) {
  int64_t share = (depth + most - 1) / most;
  share = ((share < least ? least : share) + 31) / 32 * 32;
  return {share, static_cast<int>((depth + share - 1) / share)};
}

inline dim3 product_grid(int64_t rows, int64_t columns, int parts) {
  return dim3(static_cast<unsigned>((rows + kTile - 1) / kTile),
              static_cast<unsigned>((columns + kTile - 1) / kTile), static_cast<unsigned>(parts));
}

// out[i] = sum_k a(i, k) b(j, k) for rows of images a and a weight b [columns][depth] or, where
// `b_by_depth`, [depth][columns].
template <class S, bool b_by_depth, class A, class B, class Out>
void multiply_rows(const A& a, const B& b, const Out& out, int64_t depth, Stream stream) {
  launch("product_kernel", &product_kernel<Arithmetic<S>, kVector<S>, false, b_by_depth, A, B, Out>,
         product_grid(out.rows, out.columns, 1), dim3(kBlock), 0, stream, a, b, out, depth,
         (depth + 31) / 32 * 32);
}

// out[r, c] = scale sum_part sums[part, r, c] at r row_step + c column_step; one thread per sum.
template <class T>
__global__ void __launch_bounds__(kBlock)
    add_parts_kernel(const T* sums, int parts, int64_t rows, int64_t stride, int64_t columns,
                     T scale, T* out, int64_t row_step, int64_t column_step) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  const int64_t row = i / columns, column = i % columns;
  if (row >= rows) return;
  T total = 0;
  for (int part = 0; part < parts; ++part) total += sums[(part * rows + row) * stride + column];
  out[row * row_step + column * column_step] = total * scale;
}

// Sums [parts][rows][stride], of which the first `columns` of each row are wanted.
template <class T>
struct Partial {
  const T* at;
  int parts;
  int64_t rows, stride, columns;
};

template <class T>
void add_parts(const Partial<T>& of, T scale, T* out, int64_t row_step, int64_t column_step,
               Stream stream) {
  const int64_t blocks = (of.rows * of.columns + kBlock - 1) / kBlock;
  launch("add_parts_kernel", &add_parts_kernel<T>, dim3(static_cast<unsigned>(blocks)),
         dim3(kBlock), 0, stream, of.at, of.parts, of.rows, of.stride, of.columns, scale, out,
         row_step, column_step);
}

// out[i, j] = scale sum_k a(k, i) b(k, j), rows of out `columns` long: the terms are pixels.
template <class Math, int N, class T, class A, class B>
void correlate(const Workspace& workspace, const A& a, int64_t rows, const B& b, int64_t columns,
               int64_t depth, T scale, T* out, Stream stream) {
  const Parts parts = cut(depth, 256, 128);
  const int64_t stride = (columns + 3) / 4 * 4;
  T* sums = workspace.take<T>(parts.count * rows * stride);
  const Sink<T> to{sums, rows, stride, static_cast<int>(columns), true};
  launch("product_kernel", &product_kernel<Math, N, true, true, A, B, Sink<T>>,
         product_grid(rows, columns, parts.count), dim3(kBlock), 0, stream, a, b, to, depth,
         parts.share);
  add_parts<T>({sums, parts.count, rows, stride, columns}, scale, out, columns, 1, stream);
}

}  // namespace stnas::cuda
