// Sums over 3x3 windows of a panel of channels, row by row in the cache.
#pragma once

#include "mixture/cpu/panels.h"

namespace stnas::cpu::STNAS_ISA {

// The three rows around the one in work, each summed over three neighbours; zeros around an image.
template <int N, class T>
class WindowSums {
 public:
  WindowSums(Scratch& scratch, index height, index width)
      : height_(height),
        width_(width),
        padded_(scratch.zeros<T>((width + 2) * N)),
        rows_(scratch.zeros<T>(4 * width * N)) {}

  // Takes row r in, which fill(r, to) writes, N values a pixel; rows come in order.
  template <class Fill>
  STNAS_INLINE void take(index r, const Fill& fill) {
    if (r >= height_) return;
    fill(r, padded_ + N);
    T* to = row(r);
    for (index w = 0; w < width_; ++w) {
      const T* from = padded_ + w * N;
      store(to + w * N, load<N>(from) + load<N>(from + N) + load<N>(from + 2 * N));
    }
  }
  // The sum around a pixel of row r, when row r + 1 has been taken in.
  STNAS_INLINE Vec<T, N> sum(index r, index w) const {
    return load<N>(row(r - 1) + w * N) + load<N>(row(r) + w * N) + load<N>(row(r + 1) + w * N);
  }
  // One over the number of pixels in the window around a pixel.
  STNAS_INLINE Vec<T, N> share(index r, index w) const {
    constexpr T kShares[] = {0, 1, T(1) / 2, T(1) / 3, T(1) / 4, 0, T(1) / 6, 0, 0, T(1) / 9};
    return broadcast<N>(kShares[inside(r, height_) * inside(w, width_)]);
  }

 private:
  static STNAS_INLINE index inside(index at, index size) { return 1 + (at > 0) + (at + 1 < size); }
  STNAS_INLINE T* row(index r) const {
    return rows_ + (r < 0 || r >= height_ ? 3 : r % 3) * width_ * N;
  }

  index height_, width_;
  T *padded_, *rows_;
};

// use(i) for i < Count, unrolled.
template <int Count, class Use>
STNAS_INLINE void each(const Use& use) {
  if constexpr (Count == 1) {
    use(0);
  } else {
#pragma GCC unroll 4
    for (int i = 0; i < Count; ++i) use(i);
  }
}

// use(count, w) for the pixels of a row, four at a time.
template <class Use>
STNAS_INLINE void for_each_run(index width, const Use& use) {
  index w = 0;
  for (; w + 4 <= width; w += 4) use(std::integral_constant<int, 4>{}, w);
  for (; w < width; ++w) use(std::integral_constant<int, 1>{}, w);
}

}  // namespace stnas::cpu::STNAS_ISA
