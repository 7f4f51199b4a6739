// The depthwise convolution and its gradients, tile by tile in shared memory, 32 channels a block.
#pragma once

#include "bottleneck/problem.h"
#include "device/sources.cuh"

namespace stnas::cuda {

constexpr int kSlice = 32;  // channels of a block
constexpr int kRun = 4;     // neighbours in a row that one thread makes

// The tiles of an image: rows and columns of a tile, tiles of a row and of an image.
struct Tiling {
  int rows, columns, across, count;
};
inline Tiling tile(int64_t height, int64_t width, int64_t stride) {
  const int rows = stride == 1 ? 8 : 4, columns = stride == 4 ? 4 : 8;
  const auto across = static_cast<int>((width + columns - 1) / columns);
  return {rows, columns, across, across * static_cast<int>((height + rows - 1) / rows)};
}

// A part of a plane that lies in shared memory as [row][column][32].
struct Window {
  int top, left, rows, columns;
};

// The tile of an index that runs through all images.
__device__ inline Window tile_at(const Tiling& tiling, int64_t index) {
  const int place = static_cast<int>(index % tiling.count);
  return {place / tiling.across * tiling.rows, place % tiling.across * tiling.columns, tiling.rows,
          tiling.columns};
}

// The input of a tile of outputs.
__device__ inline Window input_window(const Window& of, int kernel, int stride) {
  return {of.top * stride - kernel / 2, of.left * stride - kernel / 2,
          (of.rows - 1) * stride + kernel, (of.columns - 1) * stride + kernel};
}

// A source of planes has `height`, `width` and at<N>(image, y, x, column); `Expanded`, which makes
// its values in shared memory, has a `stage` of its own. Zero outside.
template <int N, class T, class Source>
__device__ void stage(const Source& source, int64_t image, const Window& of, int column, T* to) {
  constexpr int kVectors = kSlice / N;
#pragma unroll 1  // leaves registers to more warps
  for (int i = threadIdx.x; i < of.rows * of.columns * kVectors; i += kBlock) {
    const int pixel = i / kVectors, c = i % kVectors * N;
    const int y = of.top + pixel / of.columns, x = of.left + pixel % of.columns;
    Pack<T, N> value{};
    if (y >= 0 && y < source.height && x >= 0 && x < source.width) {
      value = source.template at<N>(image, y, x, column + c);
    }
    *reinterpret_cast<Pack<T, N>*>(to + pixel * kSlice + c) = value;
  }
}

// Bytes behind the window that staging takes.
template <class Source>
size_t scratch(const Source&) {
  return 0;
}

// Taps [K K][32] of weights [M][K K], in reverse where `flipped`.
template <int K, bool flipped, class T>
__device__ void stage_taps(const T* weights, int channels, int column, T* to) {
  for (int i = threadIdx.x; i < K * K * kSlice; i += kBlock) {
    const int tap = i / kSlice, c = column + i % kSlice;
    const int64_t at = int64_t{K * K} * c + (flipped ? K * K - 1 - tap : tap);
    to[i] = c < channels ? weights[at] : T(0);
  }
}

// Both, the taps first, for all threads of a block to read; returns where the window lies.
template <int K, int N, bool flipped, class T, class Source>
__device__ T* stage_both(const Source& source, int64_t image, const Window& of, const T* weights,
                         int channels, int column, T* taps) {
  T* window = taps + K * K * kSlice;
  stage_taps<K, flipped>(weights, channels, column, taps);
  stage<N>(source, image, of, column, window);
  __syncthreads();
  return window;
}

// a(BN e), the input of the convolution.
template <class S>
struct Activated {
  Rows<S> expanded;
  Fold<Wide<S>> fold;
  int height, width;
  Activation activation;

  template <int N>
  __device__ Pack<Wide<S>, N> at(int64_t image, int y, int x, int column) const {
    Pack<Wide<S>, N> value{};
    if (column >= expanded.columns) return value;
    value = expanded.template read<N>((image * height + y) * width + x, column);
    const FoldOf<Wide<S>, N> by(fold, column);
#pragma unroll
    for (int i = 0; i < N; ++i) value.at[i] = activate(activation, by.normal(value.at[i], i));
    return value;
  }
};

// Planes of outputs. `Totals` is what a thread adds up of those it writes: here nothing.
template <class S>
struct Planes {
  template <int N>
  struct Totals {};

  S* to;
  int height, width, columns;

  template <int N>
  __device__ void write(int64_t image, int y, int x, int column, const Pack<Wide<S>, N>& value,
                        Totals<N>&) const {
    if (y >= height || x >= width || column >= columns) return;
    cuda::write<N>(to + ((image * height + y) * width + x) * columns + column, value, N, true);
  }
  template <class Totals>
  __device__ void finish(int, const Totals&) const {}
};

// sum[o] += w[j] in[o S + j] over the taps of a row, for kRun neighbours and four channels, from n
// on. With stride 1 every input is read once; `stride` 0 stands for any.
template <int K, int stride, int N, class T>
__device__ void convolve_row(const T* in, const T* taps, int step, int n, T (&sum)[kRun][N]) {
  const auto add = [&](int o, const Pack<T, 4>& w, const Pack<T, 4>& value) {
#pragma unroll
    for (int k = 0; k < 4; ++k) sum[o][n + k] += w.at[k] * value.at[k];
  };
  if constexpr (stride == 1) {
    Pack<T, 4> w[K];
#pragma unroll
    for (int j = 0; j < K; ++j) w[j] = whole<4>(taps + j * kSlice);
#pragma unroll
    for (int c = 0; c < kRun + K - 1; ++c) {
      const auto value = whole<4>(in + c * kSlice);
#pragma unroll
      for (int o = 0; o < kRun; ++o) {
        if (c >= o && c - o < K) add(o, w[c - o], value);
      }
    }
  } else {
#pragma unroll
    for (int j = 0; j < K; ++j) {
      const auto w = whole<4>(taps + j * kSlice);
#pragma unroll
      for (int o = 0; o < kRun; ++o) add(o, w, whole<4>(in + (o * step + j) * kSlice));
    }
  }
}

// The same over all rows and channels: sum[o] += w[i, j] in[i, o S + j].
template <int K, int stride, int N, class T>
__device__ void convolve(const T* in, int pitch, const T* taps, int step, T (&sum)[kRun][N]) {
#pragma unroll
  for (int n = 0; n < N; n += 4) {
#pragma unroll 1  // the taps of one row fill the registers
    for (int i = 0; i < K; ++i) {
      convolve_row<K, stride>(in + i * pitch + n, taps + i * K * kSlice + n, step, n, sum);
    }
  }
}

// out[y, x] = sum_ij w[i, j] in[y S - K / 2 + i, x S - K / 2 + j] for a tile of outputs of one
// image and 32 channels: one block. Thread (run, c) makes four neighbours of N channels.
template <int K, int stride, int N, bool flipped, class T, class Source, class Out>
__global__ void __launch_bounds__(kBlock, sizeof(T) == 8 ? 2 : 4)
    depthwise_kernel(Source source, const T* weights, int channels, Tiling tiling, int step,
                     Out out) {
  constexpr int kVectors = kSlice / N;
  const int64_t image = blockIdx.x / tiling.count;
  const int column = static_cast<int>(blockIdx.y) * kSlice;
  const Window tile = tile_at(tiling, blockIdx.x), window = input_window(tile, K, step);
  T* taps = dynamic_shared<T>();
  const T* in = stage_both<K, N, flipped>(source, image, window, weights, channels, column, taps);
  const int c = threadIdx.x % kVectors * N, across = tile.columns / kRun;
  typename Out::template Totals<N> totals;
  for (int run = threadIdx.x / kVectors; run < tile.rows * across; run += kBlock / kVectors) {
    const int y = run / across, x = run % across * kRun;
    T sum[kRun][N] = {};
    convolve<K, stride, N>(in + (y * step * window.columns + x * step) * kSlice + c,
                           window.columns * kSlice, taps + c, step, sum);
#pragma unroll
    for (int o = 0; o < kRun; ++o) {
      Pack<T, N> value;
#pragma unroll
      for (int n = 0; n < N; ++n) value.at[n] = sum[o][n];
      out.template write<N>(image, tile.top + y, tile.left + x + o, column + c, value, totals);
    }
  }
  out.finish(column, totals);
}

}  // namespace stnas::cuda
