// Weights brought into the order in which the products read them.
#pragma once

#include "host/bfloat16.h"
#include "host/parallel.h"

namespace stnas::cpu::STNAS_ISA {

// to[j][k][lane] = from[k, 16 j + lane] from a row-major [depth, columns]; zeros fill up to
// `padded` rows and whole blocks.
template <class T>
void pack_rows(const T* from, index depth, index columns, index padded, T* to) {
  for (index j = 0; j * kLanes < columns; ++j, to += padded * kLanes) {
    for (index k = 0; k < depth; ++k)
      store(to + k * kLanes, load(from + k * columns + j * kLanes, columns - j * kLanes));
    for (index k = depth; k < padded; ++k) store(to + k * kLanes, zero<T>());
  }
}

// The same from the transpose, a row-major [columns, depth].
template <class T>
void pack_columns(const T* from, index depth, index columns, index padded, T* to) {
  for (index j = 0; j * kLanes < columns; ++j, to += padded * kLanes) {
    const index lanes = least(kLanes, columns - j * kLanes);
    for (index k = 0; k < padded; ++k) store(to + k * kLanes, zero<T>());
    for (index lane = 0; lane < lanes; ++lane) {
      const T* column = from + (j * kLanes + lane) * depth;
      for (index k = 0; k < depth; ++k) to[k * kLanes + lane] = column[k];
    }
  }
}

// Scales lane m of every row of block b by scale[16 b + m].
template <class T>
void scale_lanes(index blocks, index depth, const T* scale, T* panels) {
  for (index b = 0; b < blocks; ++b) {
    const auto factor = load(scale + b * kLanes);
    for (index k = 0; k < depth; ++k, panels += kLanes) store(panels, load(panels) * factor);
  }
}

// A row-major [rows, columns] copied to rows of `padded` columns, the rest zero.
template <class S, class T>
void pad_columns(const S* from, index rows, index columns, index padded, T* to) {
  for_each_panel(padded, [&](auto lanes, index j) {
    for (index i = 0; i < rows; ++i)
      store(to + i * padded + j, load<lanes>(from + i * columns + j, columns - j));
  });
}

// NHWC rows as one flat run: the pattern of C values repeats every C / gcd(C, 16) vectors.
inline index pattern_vectors(index channels) {
  index step = kLanes;
  while (channels % step) step /= 2;
  return channels / step;
}

template <class T>
const T* repeat_pattern(const T* values, index channels, T* to) {
  const index count = pattern_vectors(channels) * kLanes;
  for (index i = 0; i < count; ++i) to[i] = values[i % channels];
  return to;
}

// use(offset, pattern offset, lanes) over the values of `pixels` rows of `channels`.
template <class Use>
STNAS_INLINE void for_each_vector(index pixels, index channels, const Use& use) {
  const index count = pixels * channels, period = pattern_vectors(channels) * kLanes;
  index at = 0, phase = 0;
  for (; at + kLanes <= count; at += kLanes) {
    use(at, phase, kLanes);
    phase = phase + kLanes == period ? 0 : phase + kLanes;
  }
  if (at < count) use(at, phase, count - at);
}

}  // namespace stnas::cpu::STNAS_ISA
