// A few registers that are worked on side by side, so that the latency of one chain of operations
// hides behind the others.
#pragma once

#ifdef __x86_64__
#include <immintrin.h>
#endif

#include <cstdint>

#include "host/numbers.h"

namespace stnas::sgld::STNAS_ISA {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
constexpr int kParts = 4;
#elif defined(__AVX2__)
constexpr int kBytes = 32;
constexpr int kParts = 2;
#else
constexpr int kBytes = 16;
constexpr int kParts = 2;
#endif
constexpr int kLanes = kBytes / 4;

using Float = float __attribute__((vector_size(kBytes)));
using Int = int32_t __attribute__((vector_size(kBytes)));
using Word = uint32_t __attribute__((vector_size(kBytes)));
using Wide = uint64_t __attribute__((vector_size(kBytes)));

template <class V>
struct Batch {
  V part[kParts];
};

#define STNAS_EACH_PART _Pragma("GCC unroll 4") for (int p = 0; p < kParts; ++p)
#define STNAS_OPERATOR(op)                                                  \
  template <class V>                                                        \
  STNAS_INLINE Batch<V> operator op(const Batch<V>& a, const Batch<V>& b) { \
    Batch<V> r;                                                             \
    STNAS_EACH_PART r.part[p] = a.part[p] op b.part[p];                     \
    return r;                                                               \
  }                                                                         \
  template <class V, class S>                                               \
  STNAS_INLINE Batch<V> operator op(const Batch<V>& a, S b) {               \
    Batch<V> r;                                                             \
    STNAS_EACH_PART r.part[p] = a.part[p] op b;                             \
    return r;                                                               \
  }
STNAS_OPERATOR(+)
STNAS_OPERATOR(-)
STNAS_OPERATOR(*)
STNAS_OPERATOR(/)
STNAS_OPERATOR(&)
STNAS_OPERATOR(|)
STNAS_OPERATOR(^)
STNAS_OPERATOR(<<)
STNAS_OPERATOR(>>)
#undef STNAS_OPERATOR

// The same bits as another type.
template <class To, class From>
STNAS_INLINE Batch<To> as(const Batch<From>& from) {
  Batch<To> r;
  STNAS_EACH_PART r.part[p] = (To)from.part[p];
  return r;
}

template <class V, class S>
STNAS_INLINE Batch<V> broadcast(S value) {
  Batch<V> r;
  STNAS_EACH_PART r.part[p] = V{} + value;
  return r;
}

STNAS_INLINE Batch<Float> to_float(const Batch<Int>& from) {
  Batch<Float> r;
  STNAS_EACH_PART r.part[p] = __builtin_convertvector(from.part[p], Float);
  return r;
}

STNAS_INLINE Batch<Float> square_root(Batch<Float> values) {
  STNAS_EACH_PART {
#if defined(__AVX512F__)
    values.part[p] = (Float)_mm512_sqrt_ps((__m512)values.part[p]);
#elif defined(__AVX2__)
    values.part[p] = (Float)_mm256_sqrt_ps((__m256)values.part[p]);
#elif defined(__SSE2__)
    values.part[p] = (Float)_mm_sqrt_ps((__m128)values.part[p]);
#else
    for (int i = 0; i < kLanes; ++i) values.part[p][i] = __builtin_sqrtf(values.part[p][i]);
#endif
  }
  return values;
}

// Every 64-bit lane of the result holds the low half of `low`, then that of `high`.
STNAS_INLINE Batch<Word> join(const Batch<Wide>& low, const Batch<Wide>& high) {
  Batch<Word> r;
  STNAS_EACH_PART {
#if defined(__AVX512F__)
    r.part[p] = (Word)_mm512_mask_shuffle_epi32((__m512i)low.part[p], 0xaaaa, (__m512i)high.part[p],
                                                _MM_PERM_CCAA);
#elif defined(__AVX2__)
    const __m256i up = _mm256_slli_epi64((__m256i)high.part[p], 32);
    r.part[p] = (Word)_mm256_blend_epi32((__m256i)low.part[p], up, 0xaa);
#else
    r.part[p] = (Word)((low.part[p] & 0xffffffffu) | (high.part[p] << 32));
#endif
  }
  return r;
}

using Loose = float __attribute__((vector_size(kBytes), aligned(4), may_alias));

STNAS_INLINE Batch<Float> load(const float* from) {
  Batch<Float> r;
  STNAS_EACH_PART r.part[p] = reinterpret_cast<const Loose*>(from)[p];
  return r;
}

STNAS_INLINE void store(float* to, const Batch<Float>& values) {
  STNAS_EACH_PART reinterpret_cast<Loose*>(to)[p] = values.part[p];
}

// The low halves of every 64-bit lane, multiplied; the high halves of `a` may hold anything.
STNAS_INLINE Batch<Wide> multiply(Batch<Wide> a, uint32_t by) {
  const Wide b = Wide{} + by;
  STNAS_EACH_PART {
#if defined(__AVX512F__)
    a.part[p] = (Wide)_mm512_mul_epu32((__m512i)a.part[p], (__m512i)b);
#elif defined(__AVX2__)
    a.part[p] = (Wide)_mm256_mul_epu32((__m256i)a.part[p], (__m256i)b);
#elif defined(__SSE2__)
    a.part[p] = (Wide)_mm_mul_epu32((__m128i)a.part[p], (__m128i)b);
#else
    a.part[p] = (a.part[p] & 0xffffffffu) * b;
#endif
  }
  return a;
}

}  // namespace stnas::sgld::STNAS_ISA
