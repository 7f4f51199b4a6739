// bfloat16 in the tests: the upper 16 bits of a float.
#pragma once

#include <cstring>

#include "host/tests/values.h"

namespace stnas::cpu::test {

inline float widen(BFloat16 value) {
  const uint32_t bits = uint32_t{value.bits} << 16;
  float wide;
  std::memcpy(&wide, &bits, sizeof wide);
  return wide;
}

inline Values widen(const std::vector<BFloat16>& values) {
  Values wide;
  for (const BFloat16 value : values) wide.push_back(widen(value));
  return wide;
}

// Towards zero.
inline BFloat16 shorten(double value) {
  const float whole = float(value);
  uint32_t bits;
  std::memcpy(&bits, &whole, sizeof bits);
  return {uint16_t(bits >> 16)};
}

}  // namespace stnas::cpu::test
