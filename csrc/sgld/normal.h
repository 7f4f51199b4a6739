// Standard normal numbers from pairs of words by Box and Muller (1958). No operation is fused and
// every one is correctly rounded, so that all instruction sets give the same bits.
#pragma once

#include "philox.h"

namespace stnas::sgld::STNAS_ISA {

// -2 ln u for u in [2^-32, 1]: u = 2^e (1 + f) with f in [sqrt(1/2) - 1, sqrt(2) - 1], and
// ln(1 + f) = f - f^2/2 + f^3 p(f) with p a minimax fit (3.2e-8 of ln(1 + f)).
STNAS_INLINE Batch<Float> minus_two_log(const Batch<Float>& u) {
  const auto bits = as<Int>(u);
  const auto exponent = (bits - 0x3f3504f3) >> 23;
  const auto f = as<Float>(bits - (exponent << 23)) - 1.f;
  const auto e = to_float(exponent);
  auto p = f * 0.0870035995f + -0.142674763f;
  p = p * f + 0.14914787f;
  p = p * f + -0.16577586f;
  p = p * f + 0.199630623f;
  p = p * f + -0.25001337f;
  p = p * f + 0.333339108f;
  const auto square = f * f;
  const auto low = (f * square) * p + e * -2.12194440e-4f;
  const auto log = (f + (low - square * 0.5f)) + e * 0.693359375f;
  return log * -2.f;
}

struct Pair {
  Batch<Float> cosine, sine;
};

// Cosine and sine of 2 pi word / 2^32: a quarter turn is taken off by its bits, which leaves an
// angle in [-pi/4, pi/4) for the polynomials (fits of 1e-10 and 4e-9).
STNAS_INLINE Pair unit_circle(const Batch<Word>& word) {
  const auto shifted = word + (1u << 29);  // its top two bits number the quarter
  const auto x = to_float((as<Int>(word) << 2) >> 2) * 1.46291807927e-9f;
  const auto square = x * x;
  auto sine = square * -1.95172979e-4f + 8.33217814e-3f;
  sine = x + x * square * (sine * square + -0.166666549f);
  auto cosine = square * 2.44384497e-5f + -1.38873675e-3f;
  cosine = (cosine * square + 4.16666469e-2f) * (square * square) + (square * -0.5f + 1.f);
  const auto odd = as<Int>(shifted << 1) >> 31;  // all ones in an odd quarter, where the two are swapped
  const auto swap = (as<Int>(sine) ^ as<Int>(cosine)) & odd;
  const auto sign_cosine = as<Int>(shifted + (1u << 30)) & INT32_MIN;
  const auto sign_sine = as<Int>(shifted) & INT32_MIN;
  return {as<Float>(as<Int>(cosine) ^ swap ^ sign_cosine),
          as<Float>(as<Int>(sine) ^ swap ^ sign_sine)};
}

// Two normals of each pair of words (x0, x2) and (x1, x3) of the blocks from `first` on.
STNAS_INLINE Pair normal(const Philox& philox, uint32_t first) {
  const Bits bits = philox.words(first);
  const auto u = (to_float(as<Int>(bits.first >> 1)) + 0.5f) * 0x1p-31f;
  const auto radius = square_root(minus_two_log(u));
  const auto circle = unit_circle(bits.second);
  return {radius * circle.cosine, radius * circle.sine};
}

}  // namespace stnas::sgld::STNAS_ISA
