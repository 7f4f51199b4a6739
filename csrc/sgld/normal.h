// Standard normal numbers from pairs of words by Box and Muller (1958). No operation is fused and
// every one is correctly rounded, so that all instruction sets give the same bits.
#pragma once

#include <cmath>

#include "philox.h"

namespace stnas::sgld::STNAS_ISA {

using Floats = float __attribute__((vector_size(kBytes)));
using Ints = int32_t __attribute__((vector_size(kBytes)));

STNAS_INLINE Floats to_float(Ints values) { return __builtin_convertvector(values, Floats); }

STNAS_INLINE Floats square_root(Floats values) {
#if defined(__AVX512F__)
  return (Floats)_mm512_sqrt_ps((__m512)values);
#elif defined(__AVX2__)
  return (Floats)_mm256_sqrt_ps((__m256)values);
#elif defined(__SSE2__)
  return (Floats)_mm_sqrt_ps((__m128)values);
#else
  for (int i = 0; i < kLanes; ++i) values[i] = std::sqrt(values[i]);
  return values;
#endif
}

// -2 ln u for u in [2^-32, 1]: u = 2^e (1 + f) with f in [sqrt(1/2) - 1, sqrt(2) - 1], and
// ln(1 + f) = f - f^2/2 + f^3 p(f) with p a minimax fit (3.2e-8 of ln(1 + f)).
STNAS_INLINE Floats minus_two_log(Floats u) {
  const Ints bits = (Ints)u;
  const Ints exponent = (bits - 0x3f3504f3) >> 23;
  const Floats f = (Floats)(bits - (exponent << 23)) - 1.f;
  const Floats e = to_float(exponent);
  Floats p = f * 0.0870035995f + -0.142674763f;
  p = p * f + 0.14914787f;
  p = p * f + -0.16577586f;
  p = p * f + 0.199630623f;
  p = p * f + -0.25001337f;
  p = p * f + 0.333339108f;
  const Floats square = f * f;
  const Floats low = (f * square) * p + e * -2.12194440e-4f;
  const Floats log = (f + (low - square * 0.5f)) + e * 0.693359375f;
  return log * -2.f;
}

struct Pair {
  Floats cosine, sine;
};

// Cosine and sine of 2 pi word / 2^32: a quarter turn is taken off by its bits, which leaves an
// angle in [-pi/4, pi/4) for the polynomials (fits of 1e-10 and 4e-9).
STNAS_INLINE Pair unit_circle(Words word) {
  const Ints shifted = (Ints)word + (1 << 29);
  const Floats x = to_float(((Ints)word << 2) >> 2) * 1.46291807927e-9f;
  const Floats square = x * x;
  Floats sine = square * -1.95172979e-4f + 8.33217814e-3f;
  sine = x + x * square * (sine * square + -0.166666549f);
  Floats cosine = square * 2.44384497e-5f + -1.38873675e-3f;
  cosine = (cosine * square + 4.16666469e-2f) * (square * square) + (1.f - square * 0.5f);
  const Ints odd = (shifted & (1 << 30)) != 0;
  const Ints swapped_cosine = ((Ints)sine & odd) | ((Ints)cosine & ~odd);
  const Ints swapped_sine = ((Ints)cosine & odd) | ((Ints)sine & ~odd);
  const Ints sign_cosine = (Ints)((Words)(shifted + (1 << 30)) & 0x80000000u);
  const Ints sign_sine = (Ints)((Words)shifted & 0x80000000u);
  return {(Floats)(swapped_cosine ^ sign_cosine), (Floats)(swapped_sine ^ sign_sine)};
}

// Two normals of each pair of words (x0, x2) and (x1, x3) of the blocks from `first` on.
STNAS_INLINE Pair normal(const Philox& philox, uint32_t first) {
  const Bits bits = philox.words(first);
  const Floats u = (to_float((Ints)(bits.first >> 1)) + 0.5f) * 0x1p-31f;
  const Floats radius = square_root(minus_two_log(u));
  const Pair circle = unit_circle(bits.second);
  return {radius * circle.cosine, radius * circle.sine};
}

}  // namespace stnas::sgld::STNAS_ISA
