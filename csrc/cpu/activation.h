// Activations of the hidden layers: value a(z) and slope a'(z), as PyTorch defines them at the
// kinks.
#pragma once

#include <limits>

#include "simd.h"

namespace stnas::cpu::STNAS_ISA {

// v where 0 < z < cap, else 0.
template <class T>
STNAS_INLINE Vec<T> keep_between(Vec<T> v, Vec<T> z, Vec<T> cap) {
  const auto none = zero<T>();
  return where_less(none, z, where_less(z, cap, v, none), none);
}

// kCap > 0: the slope is 1 where 0 < a(z) < kCap and 0 elsewhere, so a(z) alone tells it.
struct Relu {
  static constexpr float kCap = INFINITY;
  template <class T>
  static STNAS_INLINE Vec<T> value(Vec<T> z) {
    return at_least(zero<T>(), z);
  }
  template <class T>
  static STNAS_INLINE Vec<T> slope(Vec<T> z) {
    return keep_between(broadcast(T(1)), z, broadcast(T(INFINITY)));
  }
};

struct Relu6 {
  static constexpr float kCap = 6;
  template <class T>
  static STNAS_INLINE Vec<T> value(Vec<T> z) {
    return at_most(broadcast(T(6)), at_least(zero<T>(), z));
  }
  template <class T>
  static STNAS_INLINE Vec<T> slope(Vec<T> z) {
    return keep_between(broadcast(T(1)), z, broadcast(T(6)));
  }
};

struct Hardswish {
  static constexpr float kCap = 0;
  template <class T>
  static STNAS_INLINE Vec<T> value(Vec<T> z) {
    return z * Relu6::value(z + broadcast(T(3))) * broadcast(T(1.0 / 6));
  }
  template <class T>
  static STNAS_INLINE Vec<T> slope(Vec<T> z) {
    constexpr T kBelow = 3 - 2 * std::numeric_limits<T>::epsilon();  // the next number: z >= 3
    const auto inner = z * broadcast(T(1.0 / 3)) + broadcast(T(0.5));
    const auto right = where_less(broadcast(kBelow), z, broadcast(T(1)), inner);
    return where_less(z, broadcast(-kBelow), zero<T>(), right);
  }
};

struct Silu {
  static constexpr float kCap = 0;
  template <class T>
  static STNAS_INLINE Vec<T> value(Vec<T> z) {
    return z * sigmoid(z);
  }
  template <class T>
  static STNAS_INLINE Vec<T> slope(Vec<T> z) {
    const auto one = broadcast(T(1)), s = sigmoid(z);
    return s * (one + z * (one - s));
  }
};

}  // namespace stnas::cpu::STNAS_ISA
