// Activations of the hidden layers: value a(z) and slope a'(z), as PyTorch defines them at the
// kinks.
#pragma once

#include <limits>

#include "host/problem.h"
#include "host/simd.h"

namespace stnas::cpu::STNAS_ISA {

// v where 0 < z < cap, else 0.
template <class T, int N>
STNAS_INLINE Vec<T, N> keep_between(Vec<T, N> v, Vec<T, N> z, Vec<T, N> cap) {
  const auto none = zero<T, N>();
#ifdef __AVX512F__
  if constexpr (sizeof(T) == 4 && N == kLanes) {
    const __m512 value = (__m512)z.part[0];
    const __mmask16 more = _mm512_cmp_ps_mask((__m512)none.part[0], value, _CMP_LT_OQ);
    const __mmask16 both = _mm512_mask_cmp_ps_mask(more, value, (__m512)cap.part[0], _CMP_LT_OQ);
    return {{(typename Vec<T>::Part)_mm512_maskz_mov_ps(both, (__m512)v.part[0])}};
  }
#endif
  using V = Vec<T, N>;
  STNAS_EACH_PART(V) {
    const auto both = (none.part[p] < z.part[p]) & (z.part[p] < cap.part[p]);
    v.part[p] = (typename V::Part)((decltype(both))v.part[p] & both);
  }
  return v;
}

// kCap > 0: the slope is 1 where 0 < a(z) < kCap and 0 elsewhere, so a(z) alone tells it.
struct Relu {
  static constexpr float kCap = INFINITY;
  template <class T, int N>
  static STNAS_INLINE Vec<T, N> value(Vec<T, N> z) {
    return at_least(zero<T, N>(), z);
  }
  template <class T, int N>
  static STNAS_INLINE Vec<T, N> slope(Vec<T, N> z) {
    return keep_between(broadcast<N>(T(1)), z, broadcast<N>(T(INFINITY)));
  }
};

struct Relu6 {
  static constexpr float kCap = 6;
  template <class T, int N>
  static STNAS_INLINE Vec<T, N> value(Vec<T, N> z) {
    return at_most(broadcast<N>(T(6)), at_least(zero<T, N>(), z));
  }
  template <class T, int N>
  static STNAS_INLINE Vec<T, N> slope(Vec<T, N> z) {
    return keep_between(broadcast<N>(T(1)), z, broadcast<N>(T(6)));
  }
};

struct Hardswish {
  static constexpr float kCap = 0;
  template <class T, int N>
  static STNAS_INLINE Vec<T, N> value(Vec<T, N> z) {
    return z * Relu6::value(z + broadcast<N>(T(3))) * broadcast<N>(T(1.0 / 6));
  }
  template <class T, int N>
  static STNAS_INLINE Vec<T, N> slope(Vec<T, N> z) {
    constexpr T kBelow = 3 - 2 * std::numeric_limits<T>::epsilon();  // the next number: z >= 3
    const auto inner = z * broadcast<N>(T(1.0 / 3)) + broadcast<N>(T(0.5));
    const auto right = where_less(broadcast<N>(kBelow), z, broadcast<N>(T(1)), inner);
    return where_less(z, broadcast<N>(-kBelow), zero<T, N>(), right);
  }
};

struct Silu {
  static constexpr float kCap = 0;
  template <class T, int N>
  static STNAS_INLINE Vec<T, N> value(Vec<T, N> z) {
    return z * sigmoid(z);
  }
  template <class T, int N>
  static STNAS_INLINE Vec<T, N> slope(Vec<T, N> z) {
    const auto one = broadcast<N>(T(1)), s = sigmoid(z);
    return s * (one + z * (one - s));
  }
};

// The function v -> v a'(z).
template <class Act, class T, int N>
STNAS_INLINE auto times_slope(Vec<T, N> z) {
  if constexpr (Act::kCap > 0)
    return [z](Vec<T, N> v) __attribute__((always_inline)) {
      return keep_between(v, z, broadcast<N>(T(Act::kCap)));
    };
  else
    return [slope = Act::slope(z)](Vec<T, N> v)
               __attribute__((always_inline)) { return v * slope; };
}

// use(A{}) for the activation's type A.
template <class Use>
void with_activation(Activation activation, const Use& use) {
  switch (activation) {
    case Activation::relu:
      return use(Relu{});
    case Activation::relu6:
      return use(Relu6{});
    case Activation::hardswish:
      return use(Hardswish{});
    case Activation::silu:
      return use(Silu{});
  }
}

}  // namespace stnas::cpu::STNAS_ISA
