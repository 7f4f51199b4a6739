// The numbers that kernels work on, and what marks their functions. No torch.
#pragma once

#include <cstddef>
#include <cstdint>

namespace stnas::cpu {

using index = int64_t;

constexpr index kBlock = 16;  // channels in a block: hidden tensors are stored block by block

// Inlined wherever it is used: the same function compiled for two instruction sets must not be
// shared.
#if defined(__CUDACC__)
#define STNAS_INLINE __host__ __device__ __forceinline__
#else
#define STNAS_INLINE inline __attribute__((always_inline))
#endif

STNAS_INLINE constexpr index round_up(index value, index unit) {
  return (value + unit - 1) / unit * unit;
}

// Stored as its upper 16 bits: 8 bits of significand. Arithmetic is float's.
struct BFloat16 {
  uint16_t bits;
};

// The type that tensors stored as S are computed in.
template <class S>
struct Compute {
  using type = S;
};
template <>
struct Compute<BFloat16> {
  using type = float;
};
template <class S>
using Wide = typename Compute<S>::type;

}  // namespace stnas::cpu
