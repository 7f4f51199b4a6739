// The launches of the depthwise convolution's gradients.
#pragma once

#include "bottleneck/cuda/bottleneck.cuh"
#include "bottleneck/cuda/depthwise_grad.cuh"

namespace stnas::cuda {

// The tiles of x, whose sums the gradient of the convolution's input adds up.
inline int64_t input_tiles(const cpu::Shape& s) {
  return s.images * tile(s.height, s.width, 1).count;
}

// dz = a'(z) times the gradient of the convolution's input, z the expand BN's result, and the sums
// of its tiles.
template <class S>
void input_gradient(const cpu::Problem<Wide<S>, S>& p, const HiddenGradient<S>& dd,
                    const Activated<S>& input, S* dz, Wide<S>* sums, Stream stream) {
  using T = Wide<S>;
  const cpu::Shape& s = p.shape;
  const Planes<S> planes{dz, input.height, input.width, input.expanded.columns};
  const SlopedPlanes<S> out{planes, input, sums};
  if (s.stride == 1) return convolve<S, true>(s, dd, p.weights.depthwise, out, stream);
  const Tiling tiling = tile(s.height, s.width, 1);
  const auto edge = [&](int64_t side) { return (side + s.kernel - 2) / s.stride + 2; };
  const int64_t values = edge(tiling.rows) * edge(tiling.columns) + s.kernel * s.kernel;
  with_kernel(s.kernel, [&](auto kernel) {
    launch("spread_kernel",
           &spread_kernel<kernel, kVector<S>, T, HiddenGradient<S>, SlopedPlanes<S>>,
           tile_grid(s.images, tiling, s.padded()), dim3(kBlock),
           static_cast<size_t>(values) * kSlice * sizeof(T), stream, dd, p.weights.depthwise,
           static_cast<int>(s.hidden), tiling, static_cast<int>(s.stride), out);
  });
}

// The gradient of the convolution's weights [hidden, K K].
template <class S>
void tap_gradient(const cpu::Problem<Wide<S>, S>& p, const HiddenGradient<S>& dd,
                  const Activated<S>& input, Wide<S>* to, const Workspace& workspace,
                  Stream stream) {
  using T = Wide<S>;
  const cpu::Shape& s = p.shape;
  const Tiling tiling = tile(s.out_height(), s.out_width(), s.stride);
  const int64_t tiles = s.images * tiling.count, taps = s.kernel * s.kernel;
  const int64_t share = (tiles + 127) / 128, parts = (tiles + share - 1) / share;
  T* sums = workspace.take<T>(parts * taps * s.padded());
  const int64_t values = window_pixels(tiling, s.kernel, s.stride) + tiling.rows * tiling.columns;
  const dim3 grid(static_cast<unsigned>(parts),
                  static_cast<unsigned>((s.padded() + kSlice - 1) / kSlice));
  with_kernel(s.kernel, [&](auto kernel) {
    launch("tap_gradient_kernel",
           &tap_gradient_kernel<kernel, kVector<S>, T, Activated<S>, HiddenGradient<S>>, grid,
           dim3(kBlock), static_cast<size_t>(values) * kSlice * sizeof(T), stream, input, dd,
           tiling, static_cast<int>(s.stride), tiles, share, static_cast<int>(s.padded()), sums);
  });
  add_parts<T>({sums, static_cast<int>(parts), taps, s.padded(), s.hidden}, T(1), to, 1, taps,
               stream);
}

}  // namespace stnas::cuda
