// Gradients of the depthwise convolution: of its input where the stride is not 1, of its weights.
#pragma once

#include "bottleneck/cuda/depthwise.cuh"

namespace stnas::cuda {

// The gradient of the convolution's result d: dd = keep dz - offset - (d - mean) pull with
// dz = (g du + s) a'(BN d), s the gradient of the pooled value. gates: rows `step` apart.
template <class S>
struct HiddenGradient {
  BeforeNorm<S> norm;  // its grad is du, its value d
  const Wide<S>*gates, *pooled;
  int64_t step;
  int height, width;
  Activation activation;

  template <int N>
  __device__ Pack<Wide<S>, N> at(int64_t image, int y, int x, int column) const {
    using T = Wide<S>;
    Pack<T, N> out{};
    if (column >= norm.value.columns) return out;
    const int64_t pixel = (image * height + y) * width + x;
    const auto du = norm.grad.template read<N>(pixel, column);
    const auto d = norm.value.template read<N>(pixel, column);
    const auto gate = whole<N>(gates + image * step + column);
    const auto s = whole<N>(pooled + image * step + column);
    const FoldOf<T, N> by(norm.fold, column);
    const auto keep = whole<N>(norm.by.keep + column), offset = whole<N>(norm.by.offset + column);
    const auto pull = whole<N>(norm.by.pull + column);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const T dz = (du.at[i] * gate.at[i] + s.at[i]) * slope(activation, by.normal(d.at[i], i));
      out.at[i] = (dz * keep.at[i] - offset.at[i]) - (d.at[i] - by.mean.at[i]) * pull.at[i];
    }
    return out;
  }
};

// Planes that get the gradient dz before an activation and its BN, and the sums of a tile, of dz
// and dz (e - mean), as they are stored: [tile][2][columns].
template <class S>
struct SlopedPlanes {
  using T = Wide<S>;
  template <int N>
  struct Totals {
    T at[2][N] = {};
  };

  Planes<S> planes;
  Activated<S> input;
  T* sums;

  template <int N>
  __device__ void write(int64_t image, int y, int x, int column, Pack<T, N> value,
                        Totals<N>& totals) const {
    if (y >= planes.height || x >= planes.width || column >= planes.columns) return;
    const int64_t pixel = (image * planes.height + y) * planes.width + x;
    const auto e = input.expanded.template read<N>(pixel, column);
    const FoldOf<T, N> by(input.fold, column);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      value.at[i] *= slope(input.activation, by.normal(e.at[i], i));
      const T dz = widen(narrow<S>(value.at[i]));
      totals.at[0][i] += dz;
      totals.at[1][i] += dz * (e.at[i] - by.mean.at[i]);
    }
    cuda::write<N>(planes.to + pixel * planes.columns + column, value, N, true);
  }
  template <int N>
  __device__ void finish(int column, const Totals<N>& totals) const {
    constexpr int kVectors = kSlice / N;
    const int lane = threadIdx.x % kVectors, line = threadIdx.x / kVectors;
    add_lines<2, N, kVectors>(totals.at, lane, line, column, planes.columns, sums);
  }
};

// The outputs that a tile of inputs reaches.
__device__ inline Window output_window(const Window& of, int kernel, int stride) {
  const int pad = kernel / 2;
  // floor((top - pad) / stride): at least -4.
  const int top = (of.top - pad + 4 * stride) / stride - 4;
  const int left = (of.left - pad + 4 * stride) / stride - 4;
  return {top, left, (of.top + of.rows - 1 + pad) / stride - top + 1,
          (of.left + of.columns - 1 + pad) / stride - left + 1};
}

// in[y, x] = sum_ij w[i, j] dd[(y + K / 2 - i) / S, (x + K / 2 - j) / S] where S divides both: a
// tile of inputs of one image and 32 channels a block, one pixel and N channels a thread.
template <int K, int N, class T, class Source, class Out>
__global__ void __launch_bounds__(kBlock)
    spread_kernel(Source source, const T* weights, int channels, Tiling tiling, int stride,
                  Out out) {
  constexpr int kVectors = kSlice / N;
  const int64_t image = blockIdx.x / tiling.count;
  const int column = static_cast<int>(blockIdx.y) * kSlice;
  const Window tile = tile_at(tiling, blockIdx.x), window = output_window(tile, K, stride);
  T* taps = dynamic_shared<T>();
  const T* grad = stage_both<K, N, false>(source, image, window, weights, channels, column, taps);
  const int c = threadIdx.x % kVectors * N, pixels = tile.rows * tile.columns;
  typename Out::template Totals<N> totals;
  for (int pixel = threadIdx.x / kVectors; pixel < pixels; pixel += kBlock / kVectors) {
    const int y = tile.top + pixel / tile.columns, x = tile.left + pixel % tile.columns;
    Pack<T, N> sum{};
    for (int i = (y + K / 2) % stride; i < K; i += stride) {
      for (int j = (x + K / 2) % stride; j < K; j += stride) {
        const int row = (y + K / 2 - i) / stride - window.top;
        const int at = row * window.columns + (x + K / 2 - j) / stride - window.left;
        const auto w = whole<N>(taps + (i * K + j) * kSlice + c);
        const auto dd = whole<N>(grad + at * kSlice + c);
#pragma unroll
        for (int n = 0; n < N; ++n) sum.at[n] += w.at[n] * dd.at[n];
      }
    }
    out.template write<N>(image, y, x, column + c, sum, totals);
  }
  out.finish(column, totals);
}

// dw[i, j] = sum_yx in[y S - K / 2 + i, x S - K / 2 + j] dd[y, x]: a part of all tiles and 32
// channels a block, which goes through them in order; some taps of N channels a thread.
// sums [part][K K][columns].
template <int K, int N, class T, class Input, class Grad>
__global__ void __launch_bounds__(kBlock)
    tap_gradient_kernel(Input input, Grad grad, Tiling tiling, int stride, int64_t tiles,
                        int64_t share, int columns, T* sums) {
  constexpr int kVectors = kSlice / N, kGroups = kBlock / kVectors;
  constexpr int kTaps = (K * K + kGroups - 1) / kGroups;
  const int column = static_cast<int>(blockIdx.y) * kSlice, group = threadIdx.x / kVectors;
  const int c = threadIdx.x % kVectors * N, pixels = tiling.rows * tiling.columns;
  T* dd = dynamic_shared<T>();
  T* in = dd + pixels * kSlice;
  T sum[kTaps][N] = {};
  const int64_t begin = blockIdx.x * share, end = begin + share < tiles ? begin + share : tiles;
  for (int64_t at = begin; at < end; ++at) {
    const int64_t image = at / tiling.count;
    const Window tile = tile_at(tiling, at), window = input_window(tile, K, stride);
    stage<N>(grad, image, tile, column, dd);
    stage<N>(input, image, window, column, in);
    __syncthreads();
    for (int pixel = 0; pixel < pixels; ++pixel) {
      const int y = pixel / tiling.columns * stride, x = pixel % tiling.columns * stride;
      const auto g = whole<N>(dd + pixel * kSlice + c);
#pragma unroll
      for (int t = 0; t < kTaps; ++t) {
        const int tap = group + t * kGroups;
        if (tap >= K * K) continue;
        const int from = (y + tap / K) * window.columns + x + tap % K;
        const auto e = whole<N>(in + from * kSlice + c);
#pragma unroll
        for (int n = 0; n < N; ++n) sum[t][n] += e.at[n] * g.at[n];
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int t = 0; t < kTaps; ++t) {
    const int tap = group + t * kGroups;
    if (tap >= K * K || column + c >= columns) continue;
    Pack<T, N> value;
#pragma unroll
    for (int n = 0; n < N; ++n) value.at[n] = sum[t][n];
    const int64_t row = static_cast<int64_t>(blockIdx.x) * (K * K) + tap;
    *reinterpret_cast<Pack<T, N>*>(sums + row * columns + column + c) = value;
  }
}

}  // namespace stnas::cuda
