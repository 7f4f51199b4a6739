// Standard normal numbers from words by Box and Muller (1958), once for every kind of lane. `Lanes`
// names three types, Real (float32), Integer and Word (32 bits), of one number or of many, and casts
// them: `bits` and `real` keep the bits, `convert` keeps the value. No operation may be fused and
// every one is correctly rounded, so that all instruction sets and devices give the same bits.
// STNAS_INLINE is the includer's.
#pragma once

#include <cstdint>

namespace stnas::sgld {

// -2 ln u for u in [2^-32, 1]: u = 2^e (1 + f) with f in [sqrt(1/2) - 1, sqrt(2) - 1], and
// ln(1 + f) = f - f^2/2 + f^3 p(f) with p a minimax fit (3.2e-8 of ln(1 + f)).
template <class Lanes>
STNAS_INLINE typename Lanes::Real minus_two_log(const typename Lanes::Real& u) {
  const auto bits = Lanes::bits(u);
  const auto exponent = (bits - 0x3f3504f3) >> 23;
  const auto f = Lanes::real(bits - (exponent << 23)) - 1.f;
  const auto e = Lanes::convert(exponent);
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

template <class Lanes>
struct Pair {
  typename Lanes::Real cosine, sine;
};

// Cosine and sine of 2 pi word / 2^32: a quarter turn is taken off by its bits, which leaves an
// angle in [-pi/4, pi/4) for the polynomials (fits of 1e-10 and 4e-9).
template <class Lanes>
STNAS_INLINE Pair<Lanes> unit_circle(const typename Lanes::Word& word) {
  const auto shifted = word + (1u << 29);  // its top two bits number the quarter
  const auto x = Lanes::convert((Lanes::bits(word) << 2) >> 2) * 1.46291807927e-9f;
  const auto square = x * x;
  auto sine = square * -1.95172979e-4f + 8.33217814e-3f;
  sine = x + x * square * (sine * square + -0.166666549f);
  auto cosine = square * 2.44384497e-5f + -1.38873675e-3f;
  cosine = (cosine * square + 4.16666469e-2f) * (square * square) + (square * -0.5f + 1.f);
  const auto odd = Lanes::bits(shifted << 1) >> 31;  // all ones in an odd quarter: swap the two
  const auto swap = (Lanes::bits(sine) ^ Lanes::bits(cosine)) & odd;
  const auto sign_cosine = Lanes::bits(shifted + (1u << 30)) & INT32_MIN;
  const auto sign_sine = Lanes::bits(shifted) & INT32_MIN;
  return {Lanes::real(Lanes::bits(cosine) ^ swap ^ sign_cosine),
          Lanes::real(Lanes::bits(sine) ^ swap ^ sign_sine)};
}

// Two normals of a pair of words: the first makes the radius, the second the angle.
template <class Lanes>
STNAS_INLINE Pair<Lanes> normal_pair(const typename Lanes::Word& first,
                                     const typename Lanes::Word& second) {
  const auto u = (Lanes::convert(Lanes::bits(first >> 1)) + 0.5f) * 0x1p-31f;
  const auto radius = Lanes::square_root(minus_two_log<Lanes>(u));
  const auto circle = unit_circle<Lanes>(second);
  return {radius * circle.cosine, radius * circle.sine};
}

}  // namespace stnas::sgld
