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

}  // namespace stnas::cpu::STNAS_ISA
