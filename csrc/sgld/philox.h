// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") in vectors.
#pragma once

#ifdef __x86_64__
#include <immintrin.h>
#endif

#include <bit>
#include <cstdint>

#include "../cpu/problem.h"
#include "step.h"

namespace stnas::sgld::STNAS_ISA {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX2__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif
constexpr int kLanes = kBytes / 4;
constexpr int kBlocks = kLanes / 2;  // counters in a register, one per 64-bit lane

using Words = uint32_t __attribute__((vector_size(kBytes)));
using Wides = uint64_t __attribute__((vector_size(kBytes)));

static_assert(std::endian::native == std::endian::little, "words are paired in this byte order");

// The low halves of every lane, multiplied: 64 bits of product. The high halves may hold anything.
STNAS_INLINE Wides multiply(Wides a, uint32_t by) {
  const Wides b = Wides{} + by;
#if defined(__AVX512F__)
  return (Wides)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (Wides)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
  return (Wides)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
  return (a & 0xffffffffu) * b;
#endif
}

// The four words x0, x1, x2, x3 of kBlocks blocks: first = x0 x1 x0 x1 ..., second = x2 x3 x2 x3 ...
struct Bits {
  Words first, second;
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
    Wides c0, c1 = Wides{} + tensor_, c2 = Wides{} + low_, c3 = Wides{} + high_;
    for (int i = 0; i < kBlocks; ++i) c0[i] = uint64_t(i);
    c0 += uint64_t(first);
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
      const Wides p0 = multiply(c0, 0xd2511f53u);
      const Wides p1 = multiply(c2, 0xcd9e8d57u);
      c0 = (p1 >> 32) ^ c1 ^ (Wides{} + keys_[round][0]);
      c2 = (p0 >> 32) ^ c3 ^ (Wides{} + keys_[round][1]);
      c1 = p1;
      c3 = p0;
    }
    return {pair(c0, c1), pair(c2, c3)};
  }

 private:
  STNAS_INLINE static Words pair(Wides even, Wides odd) {
    return (Words)((even & 0xffffffffu) | (odd << 32));
  }

  uint64_t tensor_, low_, high_;
  uint64_t keys_[10][2];
};

}  // namespace stnas::sgld::STNAS_ISA
