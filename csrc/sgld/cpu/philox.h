// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") in vectors.
#pragma once

#include <bit>

#include "sgld/cpu/batch.h"
#include "sgld/step.h"

namespace stnas::sgld::STNAS_ISA {

constexpr int kBlocks = kParts * kLanes / 2;  // counters of a batch, one per 64-bit lane

static_assert(std::endian::native == std::endian::little, "words are paired in this byte order");

// The words x0, x1, x2, x3 of kBlocks blocks: first = x0 x1 x0 x1 ..., second = x2 x3 x2 x3 ...
struct Bits {
  Batch<Word> first, second;
};

class Philox {
 public:
  STNAS_INLINE explicit Philox(const Stream& stream)
      : tensor_(stream.tensor), low_(uint32_t(stream.step)), high_(uint32_t(stream.step >> 32)) {
    uint32_t key[2] = {uint32_t(stream.seed), uint32_t(stream.seed >> 32)};
    for (auto& round : keys_) {
      round[0] = key[0];
      round[1] = key[1];
      key[0] += 0x9e3779b9u;
      key[1] += 0xbb67ae85u;
    }
  }

  // The words of blocks first, first + 1, ...; only the low half of each lane means anything until
  // the end, so that a product needs no shuffle before it.
  STNAS_INLINE Bits words(uint32_t first) const {
    auto c0 = broadcast<Wide>(uint64_t(first)), c1 = broadcast<Wide>(tensor_);
    auto c2 = broadcast<Wide>(low_), c3 = broadcast<Wide>(high_);
    STNAS_EACH_PART {
      Wide offset;
      for (int i = 0; i < kLanes / 2; ++i) offset[i] = uint64_t(p * kLanes / 2 + i);
      c0.part[p] += offset;
    }
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
      const auto p0 = multiply(c0, 0xd2511f53u);
      const auto p1 = multiply(c2, 0xcd9e8d57u);
      c0 = (p1 >> 32) ^ c1 ^ keys_[round][0];
      c2 = (p0 >> 32) ^ c3 ^ keys_[round][1];
      c1 = p1;
      c3 = p0;
    }
    return {join(c0, c1), join(c2, c3)};
  }

 private:
  uint64_t tensor_, low_, high_;
  uint64_t keys_[10][2];
};

}  // namespace stnas::sgld::STNAS_ISA
