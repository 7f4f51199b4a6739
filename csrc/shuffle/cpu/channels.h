// All channels of NHWC rows, or each second one: how they are read and written 16 at a time.
#pragma once

#include <utility>

#include "host/parallel.h"
#include "host/simd.h"

namespace stnas::cpu::STNAS_ISA {

// Each second value of two registers side by side, from First on.
template <int First, class Part>
STNAS_INLINE Part each_second(Part a, Part b) {
  constexpr int kCount = sizeof(Part) / sizeof(a[0]);
  return [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
    return __builtin_shufflevector(a, b, (2 * I + First)...);
  }(std::make_integer_sequence<int, kCount>{});
}

// a[0], b[0], a[1], b[1] ... from the middle of both registers on where Upper.
template <bool Upper, class Part>
STNAS_INLINE Part in_turn(Part a, Part b) {
  constexpr int kCount = sizeof(Part) / sizeof(a[0]), kFirst = Upper ? kCount / 2 : 0;
  return [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
    return __builtin_shufflevector(a, b, (kFirst + I / 2 + I % 2 * kCount)...);
  }(std::make_integer_sequence<int, kCount>{});
}

// `lanes` values that stand two apart, from the first or the second one on.
template <int First, class T>
STNAS_INLINE Vec<T> load_each_second(const T* from, index lanes) {
  const Vec<T> both[2] = {load(from, 2 * lanes), load(from + kLanes, most(0, 2 * lanes - kLanes))};
  constexpr int kParts = Vec<T>::kParts;
  const auto part = [&](int p) __attribute__((always_inline)) {
    return both[p / kParts].part[p % kParts];
  };
  Vec<T> found;
#pragma GCC unroll 16
  for (int p = 0; p < kParts; ++p) found.part[p] = each_second<First>(part(2 * p), part(2 * p + 1));
  return found;
}

// The opposite: both in turn.
template <class T>
STNAS_INLINE void store_in_turn(T* to, Vec<T> first, Vec<T> second, index lanes) {
  constexpr int kParts = Vec<T>::kParts;
  Vec<T> both[2];
#pragma GCC unroll 16
  for (int p = 0; p < kParts; ++p) {
    both[2 * p / kParts].part[2 * p % kParts] = in_turn<false>(first.part[p], second.part[p]);
    both[(2 * p + 1) / kParts].part[(2 * p + 1) % kParts] =
        in_turn<true>(first.part[p], second.part[p]);
  }
  store(to, both[0], 2 * lanes);
  if (2 * lanes > kLanes) store(to + kLanes, both[1], 2 * lanes - kLanes);
}

// Channels of x that a head reads: `at` gives the 16 of a block from a pixel on.
template <int Step, class T>
struct ChannelRows {
  const T* x;
  index row, channels, pixels;  // values of a pixel, channels that are read, pixels of an image

  STNAS_INLINE auto at(index image, index block, index pixel) const {
    const T* from = x + (image * pixels + pixel) * row + Step * block * kLanes;
    const index lanes = channels - block * kLanes;
    return [=, step = row](index i) __attribute__((always_inline)) {
      if constexpr (Step == 1)
        return load(from + i * step, lanes);
      else
        return load_each_second<1>(from + i * step, lanes);
    };
  }
};

}  // namespace stnas::cpu::STNAS_ISA
