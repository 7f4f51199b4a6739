// Philox4x32-10 (Salmon et al. 2011) and the types that Box and Muller's arithmetic runs on in one
// CUDA thread. Compiled without fused multiply-adds, both give the bits of the CPU form.
#pragma once

#include "device/compat.cuh"

#include "sgld/box_muller.h"
#include "sgld/step.h"

namespace stnas::cuda {

struct Lanes {
  using Real = float;
  using Integer = int32_t;
  using Word = uint32_t;

  STNAS_INLINE static Integer bits(Word from) { return static_cast<Integer>(from); }
  __device__ static Integer bits(Real from) { return __float_as_int(from); }
  __device__ static Real real(Integer from) { return __int_as_float(from); }
  STNAS_INLINE static Real convert(Integer from) { return static_cast<float>(from); }
  __device__ static Real square_root(Real from) { return sqrtf(from); }
};

struct Words {
  uint32_t x[4];
};

// The words of one block: the key is the seed, the counter is (block, tensor, step).
__device__ inline Words philox(const sgld::Stream& stream, uint32_t block) {
  uint32_t c0 = block, c1 = stream.tensor;
  uint32_t c2 = static_cast<uint32_t>(stream.step), c3 = static_cast<uint32_t>(stream.step >> 32);
  uint32_t k0 = static_cast<uint32_t>(stream.seed), k1 = static_cast<uint32_t>(stream.seed >> 32);
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = static_cast<uint64_t>(c0) * 0xd2511f53u;
    const uint64_t p1 = static_cast<uint64_t>(c2) * 0xcd9e8d57u;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  return {{c0, c1, c2, c3}};
}

}  // namespace stnas::cuda
