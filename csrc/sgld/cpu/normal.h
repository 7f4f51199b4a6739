// Standard normal numbers of the blocks of Philox, in vectors.
#pragma once

#include "sgld/cpu/philox.h"

#include "sgld/box_muller.h"

namespace stnas::sgld::STNAS_ISA {

constexpr int kNormals = kParts * kLanes;  // of either half of a pair

struct Registers {
  using Real = Batch<Float>;
  using Integer = Batch<Int>;
  using Word = Batch<STNAS_ISA::Word>;

  STNAS_INLINE static Integer bits(const Real& from) { return as<Int>(from); }
  STNAS_INLINE static Integer bits(const Word& from) { return as<Int>(from); }
  STNAS_INLINE static Real real(const Integer& from) { return as<Float>(from); }
  STNAS_INLINE static Real convert(const Integer& from) { return to_float(from); }
  STNAS_INLINE static Real square_root(const Real& from) { return STNAS_ISA::square_root(from); }
};

// Two normals of each pair of words (x0, x2) and (x1, x3) of the blocks from `first` on.
STNAS_INLINE Pair<Registers> normal(const Philox& philox, uint32_t first) {
  const Bits bits = philox.words(first);
  return normal_pair<Registers>(bits.first, bits.second);
}

}  // namespace stnas::sgld::STNAS_ISA
