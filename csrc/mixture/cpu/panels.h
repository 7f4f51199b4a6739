// Panels of 16 or 8 channels of an image, NHWC.
#pragma once

#include "host/moments.h"
#include "host/parallel.h"

namespace stnas::cpu::STNAS_ISA {

// use(lanes): N where so many channels are left, known when it is compiled, else how many there
// are.
template <int N, class Use>
STNAS_INLINE void with_lanes(index left, const Use& use) {
  if (left >= N)
    use(std::integral_constant<index, N>{});
  else
    use(left);
}

constexpr index kMomentPixels = 256;  // that stay in the L1 cache

// Adds the pixels of one image and panel.
template <int N, class T>
void add_panel(Moments& to, const T* z, index pixels, index row, index lanes) {
  if (lanes >= N) {
    for (index q = 0; q < pixels; q += kMomentPixels)
      add_vectors<N>(to, z + q * row, least(kMomentPixels, pixels - q), row);
    return;
  }
  Scratch scratch;
  T* copy = scratch.take<T>(kMomentPixels * N);
  for (index q = 0; q < pixels; q += kMomentPixels) {
    const index count = least(kMomentPixels, pixels - q);
    for (index i = 0; i < count; ++i) store(copy + i * N, load<N>(z + (q + i) * row, lanes));
    add_vectors<N>(to, copy, count, N);
  }
}

}  // namespace stnas::cpu::STNAS_ISA
