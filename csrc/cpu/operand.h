// Operands of the products in the type that they multiply: a copy is made only where it is needed.
#pragma once

#include "gemm.h"
#include "pack.h"
#include "scratch.h"

namespace stnas::cpu::STNAS_ISA {

// Panels [block][depth][16] as products read them: for bfloat16 [block][depth / 2][16][2], the
// depth padded.
template <class O, class T>
const O* pack_operand(Scratch& scratch, index blocks, index depth, const T* from) {
  if constexpr (std::is_same_v<O, T>) {
    return from;
  } else {
    O* packed = scratch.take<O>(blocks * round_up(depth, 2) * kLanes);
    O* to = packed;
    for (index b = 0; b < blocks; ++b, from += depth * kLanes)
      for (index k = 0; k < depth; k += 2, to += 2 * kLanes)
        store_pairs(to, load(from + k * kLanes),
                    k + 1 < depth ? load(from + (k + 1) * kLanes) : zero<T>());
    return packed;
  }
}

// Rows of x as products read them: converted, or padded, where they have to be.
template <class O, class S>
Rows<O> operand_rows(Scratch& scratch, const S* x, index pixels, index channels) {
  const index row = round_up(channels, kDepthStep<O>);
  if constexpr (std::is_same_v<O, S>)
    if (row == channels) return {x, row, row};
  O* to = scratch.take<O>(pixels * row);
  for (index i = 0; i < pixels; ++i) {
    if (row > channels) to[i * row + channels] = O{};
    for (index j = 0; j < channels; j += kLanes)
      store(to + i * row + j, load(x + i * channels + j, channels - j), channels - j);
  }
  return {to, row, row};
}

// The left operand of `correlate`, and the distance of its rows.
template <class O>
struct Columns {
  const O* data;
  index lda;
};

// Rows of x as `correlate` reads them: converted where they have to be; for bfloat16 pairs of rows
// [pixels / 2][padded channels][2], their number made even with zeros.
template <class O, class I>
Columns<O> operand_columns(Scratch& scratch, const I* x, index pixels, index channels) {
  const index padded = round_up(channels, kLanes);
  if constexpr (sizeof(O) == 2) {
    O* to = scratch.take<O>(round_up(pixels, 2) * padded);
    for (index q = 0; q < pixels; q += 2, x += 2 * channels)
      for (index j = 0; j < channels; j += kLanes)
        store_pairs(to + q * padded + 2 * j, load(x + j, channels - j),
                    q + 1 < pixels ? load(x + channels + j, channels - j) : zero<Wide<O>>());
    return {to, padded};
  } else if constexpr (std::is_same_v<O, I>) {
    return {x, channels};
  } else {
    return {operand_rows<O>(scratch, x, pixels, channels).data, channels};
  }
}

// Memory for vectors in another type: none where the types are the same.
template <class O, class I>
O* take_vectors(Scratch& scratch, index count) {
  return std::is_same_v<O, I> ? nullptr : scratch.take<O>(round_up(count, 2) * kLanes);
}

// Vectors in the type O: themselves, or copied to `buffer`.
template <class O, class I>
STNAS_INLINE const O* convert(const I* from, index count, O* buffer) {
  if constexpr (std::is_same_v<O, I>) return from;
  else {
    for (index i = 0; i < count * kLanes; i += kLanes) store(buffer + i, load(from + i));
    return buffer;
  }
}

// The right operand of `correlate`: vectors, or in `buffer` pairs of them.
template <class O, class I>
STNAS_INLINE const O* operand_vectors(const I* from, index count, O* buffer) {
  if constexpr (sizeof(O) != 2) return convert<O>(from, count, buffer);
  else {
    for (index q = 0; q < count; q += 2)
      store_pairs(buffer + q * kLanes, load(from + q * kLanes),
                  q + 1 < count ? load(from + (q + 1) * kLanes) : zero<Wide<O>>());
    return buffer;
  }
}

// Where a kernel writes T that ends as S: the tensor itself, or a buffer.
template <class T, class S>
STNAS_INLINE T* in_place(S* to, T* buffer) {
  if constexpr (std::is_same_v<T, S>) return to;
  else return buffer;
}

}  // namespace stnas::cpu::STNAS_ISA
