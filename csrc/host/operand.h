// Operands of the products in the type that they multiply: a copy is made only where it is needed.
#pragma once

#include "host/gemm.h"
#include "host/pack.h"
#include "host/scratch.h"

namespace stnas::cpu::STNAS_ISA {

// Values in a padded row of an operand.
template <class O>
index padded_depth(index depth) {
  return round_up(depth, kDepthStep<O>);
}

// Vectors in the type O: themselves, or copied to `buffer`.
template <class O, class I>
STNAS_INLINE const O* convert(const I* from, index count, O* buffer) {
  if constexpr (std::is_same_v<O, I>)
    return from;
  else {
    for (index i = 0; i < count * kLanes; i += kLanes) store(buffer + i, load(from + i));
    return buffer;
  }
}

// The right operand of a product: vectors that stand `step` values apart, or in `buffer` pairs of
// them, their number padded with zeros.
template <class O, class I>
STNAS_INLINE const O* operand_vectors(const I* from, index count, O* buffer, index step = kLanes) {
  if constexpr (sizeof(O) != 2)
    return convert<O>(from, count, buffer);
  else {
    const auto vector = [&](index q) __attribute__((always_inline)) {
      return q < count ? load(from + q * step) : zero<Wide<O>>();
    };
    for (index q = 0; q < padded_depth<O>(count); q += 2)
      store_pairs(buffer + q * kLanes, vector(q), vector(q + 1));
    return buffer;
  }
}

// Panels [block][depth][16] as products read them: for bfloat16 [block][depth / 2][16][2], the
// depth padded.
template <class O, class T>
const O* pack_operand(Scratch& scratch, index blocks, index depth, const T* from) {
  if constexpr (std::is_same_v<O, T>) {
    return from;
  } else {
    const index padded = padded_depth<O>(depth);
    O* packed = scratch.take<O>(blocks * padded * kLanes);
    for (index b = 0; b < blocks; ++b)
      operand_vectors<O>(from + b * depth * kLanes, depth, packed + b * padded * kLanes);
    return packed;
  }
}

// Rows of x as products read them: converted, or padded, where they have to be.
template <class O, class S>
Rows<O> operand_rows(Scratch& scratch, const S* x, index pixels, index channels) {
  const index row = padded_depth<O>(channels);
  if constexpr (std::is_same_v<O, S>)
    if (row == channels) return {x, row, row};
  O* to = scratch.take<O>(pixels * row);
  for (index j = 0; j < row; j += kLanes)
    for (index i = 0; i < pixels; ++i)
      store(to + i * row + j, load(x + i * channels + j, channels - j), row - j);
  return {to, row, row};
}

// The left operand of `correlate`, and the distance of its rows.
template <class O>
struct Columns {
  const O* data;
  index lda;
};

// The rows of an operand as `correlate` reads them: for bfloat16 pairs of rows [pixels / 2][padded
// channels][2], for tiles [padded channels][pixels], the pixels padded with zeros.
template <class O>
Columns<O> operand_columns(Scratch& scratch, const Rows<O>& x, index pixels, index channels) {
  const index padded = round_up(channels, kLanes);
  if constexpr (sizeof(O) == 2) {
    const index count = padded_depth<O>(pixels);
    O* to = scratch.take<O>(count * padded);
    const auto row = [&](index q, index j) __attribute__((always_inline)) {
      return q < pixels ? load(x.data + q * x.row + j, channels - j) : zero<Wide<O>>();
    };
    for (index j = 0; j < channels; j += kLanes)
      for (index q = 0; q < count; q += 2) {
        if constexpr (kTiled<O>) {
          O pairs[2 * kLanes];
          store_pairs(pairs, row(q, j), row(q + 1, j));
          for (index lane = 0; lane < kLanes; ++lane)
            __builtin_memcpy(to + (j + lane) * count + q, pairs + 2 * lane, 2 * sizeof(O));
        } else {
          store_pairs(to + q * padded + 2 * j, row(q, j), row(q + 1, j));
        }
      }
    return {to, kTiled<O> ? count : padded};
  } else {
    return {x.data, x.row};
  }
}

// Memory for vectors in another type: none where the types are the same.
template <class O, class I>
O* take_vectors(Scratch& scratch, index count) {
  return std::is_same_v<O, I> ? nullptr : scratch.take<O>(padded_depth<O>(count) * kLanes);
}

// Where a kernel writes T that ends as S: the tensor itself, or a buffer.
template <class T, class S>
STNAS_INLINE T* in_place(S* to, T* buffer) {
  if constexpr (std::is_same_v<T, S>)
    return to;
  else
    return buffer;
}

}  // namespace stnas::cpu::STNAS_ISA
