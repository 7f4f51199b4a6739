// What the passes of the choice block share: its tensors as matrices, the choice of a kernel.
#pragma once

#include <type_traits>

#include "bottleneck/cuda/expanded.cuh"
#include "bottleneck/cuda/launchers.h"
#include "device/rows.cuh"

namespace stnas::cuda {

// A tensor whose channels are padded to 16: whole vectors everywhere.
template <class S>
Rows<S> padded_rows(const S* at, int64_t rows, int64_t padded) {
  return {at, rows, padded, static_cast<int>(padded), true};
}

template <class S>
struct Sizes {
  int64_t pixels, out_pixels, padded, channels, hidden, out;

  explicit Sizes(const cpu::Shape& s)
      : pixels(s.images * s.pixels()),
        out_pixels(s.images * s.out_pixels()),
        padded(s.padded()),
        channels(s.in),
        hidden(s.hidden),
        out(s.out) {}
  Rows<S> expanded(const S* at) const { return padded_rows(at, pixels, padded); }
  Rows<S> hidden_rows(const S* at) const { return padded_rows(at, out_pixels, padded); }
};

// use(size) with the kernel's size as a constant.
template <class Use>
void with_kernel(int64_t kernel, const Use& use) {
  if (kernel == 3) return use(std::integral_constant<int, 3>{});
  if (kernel == 5) return use(std::integral_constant<int, 5>{});
  use(std::integral_constant<int, 7>{});
}

inline dim3 tile_grid(int64_t images, const Tiling& tiling, int64_t padded) {
  return dim3(static_cast<unsigned>(images * tiling.count),
              static_cast<unsigned>((padded + kSlice - 1) / kSlice));
}

// Pixels of the input of a tile of outputs.
inline int64_t window_pixels(const Tiling& tiling, int64_t kernel, int64_t stride) {
  return ((tiling.rows - 1) * stride + kernel) * ((tiling.columns - 1) * stride + kernel);
}

// out = the depthwise convolution of `source` with the weights, or with the flipped ones, which
// makes the gradient of its input where the stride is 1.
template <class S, bool flipped, class Source, class Out>
void convolve(const cpu::Shape& s, const Source& source, const Wide<S>* weights, const Out& out,
              Stream stream) {
  const Tiling tiling = tile(s.out_height(), s.out_width(), s.stride);
  with_kernel(s.kernel, [&](auto kernel) {
    using T = Wide<S>;
    const int64_t values = window_pixels(tiling, s.kernel, s.stride) + s.kernel * s.kernel;
    const auto start = [&](auto function) {
      launch("depthwise_kernel", function, tile_grid(s.images, tiling, s.padded()), dim3(kBlock),
             static_cast<size_t>(values) * kSlice * sizeof(T) + scratch(source), stream, source,
             weights, static_cast<int>(s.hidden), tiling, static_cast<int>(s.stride), out);
    };
    if (flipped || s.stride == 1) {
      start(&depthwise_kernel<kernel, 1, kVector<S>, flipped, T, Source, Out>);
    } else if constexpr (!flipped) {
      start(&depthwise_kernel<kernel, 0, kVector<S>, false, T, Source, Out>);
    }
  });
}

template <class S>
Activated<S> activated(const cpu::Problem<Wide<S>, S>& p, const S* expanded,
                       const Fold<Wide<S>>& fold) {
  const cpu::Shape& s = p.shape;
  return {Sizes<S>(s).expanded(expanded), fold, static_cast<int>(s.height),
          static_cast<int>(s.width), p.activation};
}

template <class S>
Expanded<S> made_expanded(const cpu::Problem<Wide<S>, S>& p, const Fold<Wide<S>>& fold) {
  const cpu::Shape& s = p.shape;
  const Sizes<S> sizes(s);
  return {dense(p.x, sizes.pixels, s.in),
          dense(p.weights.expand, s.hidden, s.in),
          fold,
          static_cast<int>(s.height),
          static_cast<int>(s.width),
          static_cast<int>(s.padded()),
          p.activation};
}

// expand x [pixels, padded], zero in the padding.
template <class S>
void expand(const cpu::Problem<Wide<S>, S>& p, S* to, Stream stream) {
  const Sizes<S> sizes(p.shape);
  multiply_rows<S, false>(dense(p.x, sizes.pixels, sizes.channels),
                          dense(p.weights.expand, sizes.hidden, sizes.channels),
                          sink(to, sizes.pixels, sizes.padded), sizes.channels, stream);
}

// The coefficients of BN `layer` with these statistics.
template <class T, class S>
Fold<T> fold_layer(const cpu::Problem<T, S>& p, int layer, const T* mean, const T* variance,
                   const Workspace& workspace, Stream stream) {
  const cpu::Norm<T>& norm = p.norms[layer];
  return fold<T>(workspace, {norm.weight, norm.bias, mean, variance},
                 layer < 2 ? p.shape.hidden : p.shape.out, stream);
}

// With the statistics of the batch: mean and variance of the three BN, one after the other.
template <class T, class S>
Fold<T> fold_batch(const cpu::Problem<T, S>& p, int layer, const T* statistics,
                   const Workspace& workspace, Stream stream) {
  const T* mean = statistics + layer * 2 * p.shape.hidden;
  const int64_t channels = layer < 2 ? p.shape.hidden : p.shape.out;
  return fold_layer(p, layer, mean, mean + channels, workspace, stream);
}

template <class S>
Gated<S> gated(const cpu::Problem<Wide<S>, S>& p, const S* hidden, const Fold<Wide<S>>& fold,
               const Wide<S>* excitation) {
  const cpu::Shape& s = p.shape;
  return {Sizes<S>(s).hidden_rows(hidden),
          fold,
          excitation + s.padded() + s.padded_squeeze(),
          s.out_pixels(),
          s.excitation(),
          p.activation};
}

}  // namespace stnas::cuda
