// The sum of images of one size. Memory bounds it, so the baseline instruction set serves.
#pragma once

#include <algorithm>
#include <bit>

#include "host/problem.h"

namespace stnas::cpu {

// out = (parts[0] + parts[1] + ...) / divisor; out may be one of the parts.
template <class S>
struct ImageSum {
  const S* const* parts;
  index count;  // of parts, at least one
  Wide<S> divisor;
  S* out;
  index rows, channels;

  bool in_place() const { return std::find(parts, parts + count, out) != parts + count; }
};

template <class T>
T widened(T value) {
  return value;
}
inline float widened(BFloat16 value) { return std::bit_cast<float>(uint32_t{value.bits} << 16); }

// To the nearest, ties to even.
template <class S>
S narrowed(Wide<S> value) {
  if constexpr (sizeof(S) == 2) {
    const auto bits = std::bit_cast<uint32_t>(value);
    const auto rounded = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    return {value == value ? rounded : uint16_t{0x7fc0}};
  } else {
    return value;
  }
}

constexpr index kSumTile = 4096;  // values: some of each part stay in the L1 cache

template <class S>
void sum_tile(const ImageSum<S>& of, index first, index count) {
  Wide<S> total[kSumTile];
  for (index i = 0; i < count; ++i) total[i] = widened(of.parts[0][first + i]);
  for (index part = 1; part < of.count; ++part) {
    const S* values = of.parts[part] + first;
    for (index i = 0; i < count; ++i) total[i] += widened(values[i]);
  }
  if (of.divisor != Wide<S>(1))
    for (index i = 0; i < count; ++i) total[i] /= of.divisor;
  for (index i = 0; i < count; ++i) of.out[first + i] = narrowed<S>(total[i]);
}

template <class S>
void sum_images(const ImageSum<S>& of, const Executor& executor) {
  const index values = of.rows * of.channels, tiles = (values + kSumTile - 1) / kSumTile;
  const auto task = [&](index tile) {
    const index first = tile * kSumTile, left = values - first;
    sum_tile(of, first, left < kSumTile ? left : kSumTile);
  };
  executor.run(
      tiles,
      [](void* context, index tile) { (*static_cast<const decltype(task)*>(context))(tile); },
      const_cast<void*>(static_cast<const void*>(&task)));
}

}  // namespace stnas::cpu
