// Standard normal numbers from words by Box and Muller (1958), once for every kind of lane. `Lanes`
// names three types, Real (float32), Integer and Word (32 bits), of one number or of many, and
// casts them: `bits` and `real` keep the bits, `convert` the value. No operation may be fused and
// every one is correctly rounded, so that all instruction sets and devices give the same bits.
// STNAS_INLINE is the includer's.
#pragma once

#include <cstdint>

namespace stnas::sgld {

template <class Lanes>
struct Pair {
  typename Lanes::Real cosine, sine;
};

// r (cos a, sin a) with r = sqrt(-2 ln u). u is 2^-31 times the low 31 bits of the first word, made
// odd; its top bit turns a by half a circle. The second word is a signed number v, and
// a = pi v / 2^32.
//
// u = 2^e (1 + f) with f in [-1/2, 0). A float's bits, read as a number, are a line in f between
// two powers of two: -2 ln u is that line and f times a polynomial, which vanishes at f = -1/2
// exactly. The fit adds at most 3.4e-7 to r. With s and c the sine and cosine of a / 2, both times
// sqrt(2) (fits of 4e-9 and 4e-8), cos a = 1 - s^2 and sin a = s c.
//
// The three polynomials take turns: a processor does not look far enough ahead to mix them itself.
template <class Lanes>
STNAS_INLINE Pair<Lanes> normal_pair(const typename Lanes::Word& first,
                                     const typename Lanes::Word& second) {
  constexpr float kLine = float(-2 * 0.69314718055994530942 / (1 << 23));  // -2 ln 2 for 2^23 bits
  const auto x = Lanes::convert(Lanes::bits(second)) * 0x1p-31f;
  const auto bits = Lanes::bits(Lanes::convert(Lanes::bits((first & 0x7fffffffu) | 1u)));
  const auto square = x * x;
  const auto f = Lanes::real((bits & 0x007fffff) | 0x3f000000) - 1.f;
  auto log = f * -2.3718476f + -1.9030005f;
  auto sine = square * -5.097029e-5f + 3.52164e-3f;
  log = log * f + -1.4325317f;
  sine = sine * square + -0.11419143f;
  log = log * f + 0.26047403f;
  sine = sine * square + 1.1107208f;
  log = log * f + -0.69430375f;
  auto cosine = square * -4.5109208e-4f + 2.2415394e-2f;
  log = log * f + 0.9986183f;
  cosine = cosine * square + -0.43617788f;
  log = log * f + 0.77256894f;
  cosine = cosine * square + 1.4142135f;
  log = log * f + Lanes::convert(bits - 0x4f000000) * kLine;
  sine = sine * x;
  const auto size = Lanes::bits(Lanes::square_root(log));
  const auto radius = Lanes::real(size ^ (Lanes::bits(first) & INT32_MIN));
  const auto across = radius * sine;
  return {radius - across * sine, across * cosine};
}

}  // namespace stnas::sgld
