// The input of the depthwise convolution, a(BN (W x)), which a block makes for itself: the expanded
// tensor e = W x stays out of device memory.
#pragma once

#include "bottleneck/cuda/depthwise.cuh"
#include "bottleneck/cuda/strips.cuh"

namespace stnas::cuda {

// Whether images of S have that form.
template <class S>
constexpr bool kExpands = sizeof(S) <= 4;

// Whether the convolution makes e itself where nothing else needs it: where that is predicted to
// take less time (docs/cuda.md). A block reads all channels of x for 32 of e. Of float32 images the
// units that convolve make e, too, and again for the borders of every tile.
template <class S>
bool expands_itself(const cpu::Shape& s) {
  if (sizeof(S) == 2) return s.in <= 64;
  return kExpands<S> && s.in <= 16 && s.kernel <= 2 * s.stride + 1;
}

// A source of planes as `Activated` is one of the stored e, with the same bits: the sums have the
// order of product_kernel's, and e is rounded as if it were stored.
template <class S>
struct Expanded {
  using Sums = Strip<Arithmetic<S>>;
  // Terms of a tile, and vectors of them.
  static constexpr int kTerms = Arithmetic<S>::kDepth, kVectors = kTerms / kVector<S>;

  Rows<S> x;
  Rows<Wide<S>> weight;  // [hidden, channels of x]
  Fold<Wide<S>> fold;
  int height, width, columns;
  Activation activation;

  // The row of x that a window has at a pixel, or -1 where there is none.
  __device__ int64_t row(int64_t image, const Window& of, int pixel) const {
    const int line = pixel / of.columns, y = of.top + line, at = of.left + pixel % of.columns;
    const bool inside = line < of.rows && y >= 0 && y < height && at >= 0 && at < width;
    return inside ? (image * height + y) * width + at : -1;
  }

  // All weights of the channels from `column` on.
  __device__ void stage_weights(int column, typename Sums::Right* to) const {
    for (int k = 0; k < x.columns; k += kTerms, ++to) {
      for (int i = threadIdx.x; i < kSlice * kVectors; i += kBlock) {
        const int c = i / kVectors, at = i % kVectors * kVector<S>;
        to->put(Sums::place(c), at, weight.template read<kVector<S>>(column + c, k + at));
      }
    }
  }

  // A tile's terms, from k on, of a warp's pixels from `first` on.
  __device__ void stage_pixels(int64_t image, const Window& of, int first, int k,
                               typename Sums::Left& to) const {
    const int warp = threadIdx.x / 32;
    for (int i = threadIdx.x % 32; i < kStrip * kVectors; i += 32) {
      const int64_t from = row(image, of, first + i / kVectors);
      const int at = i % kVectors * kVector<S>;
      Pack<Wide<S>, kVector<S>> value{};
      if (from >= 0) value = x.template read<kVector<S>>(from, k + at);
      to.put(warp * kStrip + i / kVectors, at, value);
    }
  }

  // a(BN e) of neighbours, zero where the window has no pixel.
  template <int N>
  __device__ Pack<Wide<S>, N> finish(bool inside, int column, Pack<Wide<S>, N> e) const {
    if (!inside || column >= columns) return {};
    const FoldOf<Wide<S>, N> by(fold, column);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      e.at[i] = activate(activation, by.normal(widen(narrow<S>(e.at[i])), i));
    }
    return e;
  }
};

template <class S>
size_t scratch(const Expanded<S>& source) {
  constexpr int kTerms = Expanded<S>::kTerms;
  return (source.x.columns + kTerms - 1) / kTerms * sizeof(typename Expanded<S>::Sums::Right);
}

// Each warp makes every fourth strip of 16 pixels; only the weights are shared.
template <int N, class S>
__device__ void stage(const Expanded<S>& source, int64_t image, const Window& of, int column,
                      Wide<S>* to) {
  using Sums = typename Expanded<S>::Sums;
  constexpr int kTerms = Expanded<S>::kTerms;
  SHARED(typename Sums::Left, pixels, [1]);
  const int count = of.rows * of.columns, warp = threadIdx.x / 32;
  auto* weights = reinterpret_cast<typename Sums::Right*>(to + count * kSlice);
  source.stage_weights(column, weights);
  __syncthreads();
#pragma unroll 1
  for (int first = warp * kStrip; first < count; first += kBlock / 32 * kStrip) {
    Sums sums;
#pragma unroll 1
    for (int k = 0; k < source.x.columns; k += kTerms) {
      source.stage_pixels(image, of, first, k, pixels[0]);
      __syncwarp();
      sums.multiply(pixels[0], warp * kStrip, weights[k / kTerms]);
      __syncwarp();
    }
    sums.each([&](int i, int c, const Pack<Wide<S>, N>& e) {
      const int pixel = first + i;
      if (pixel >= count) return;
      const bool inside = source.row(image, of, pixel) >= 0;
      *reinterpret_cast<Pack<Wide<S>, N>*>(to + pixel * kSlice + c) =
          source.finish(inside, column + c, e);
    });
  }
}

}  // namespace stnas::cuda
