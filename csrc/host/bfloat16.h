// bfloat16 in memory: read as float32, rounded to nearest even when written (a NaN stays one), and
// multiplied in pairs where the processor has an instruction for it.
#pragma once

#include <type_traits>

#include "host/simd.h"
#include "host/tile_registers.h"

namespace stnas::cpu::STNAS_ISA {

#ifdef __AVX512BF16__
constexpr bool kMultipliesPairs = true;
#else
constexpr bool kMultipliesPairs = false;
#endif
#ifdef STNAS_HAS_TILES
constexpr bool kMultipliesTiles = true;
#else
constexpr bool kMultipliesTiles = false;
#endif

// What products read of tensors that are stored as S.
template <class S>
using Operand = std::conditional_t<kMultipliesPairs, S, Wide<S>>;

// Whether products of operands O go by tile registers.
template <class O>
constexpr bool kTiled = kMultipliesTiles && sizeof(O) == 2;

// Products read so many values of a row of an operand at a time: rows are padded to it with zeros.
template <class O>
constexpr index kDepthStep = kTiled<O>        ? kTileStep
                             : sizeof(O) == 2 ? 2
                                              : 1;

// The bits of a register of float and their upper halves.
template <class V>
struct Halves {
  typedef uint32_t whole __attribute__((vector_size(V::kBytes)));
  typedef uint16_t type __attribute__((vector_size(V::kBytes / 2)));
  typedef uint16_t loose __attribute__((vector_size(V::kBytes / 2), aligned(2), may_alias));
};

template <class V>
STNAS_INLINE typename V::Part widen(typename Halves<V>::type half) {
  return (typename V::Part)(__builtin_convertvector(half, typename Halves<V>::whole) << 16);
}

template <class V>
STNAS_INLINE typename Halves<V>::type narrow(typename V::Part v) {
#ifdef __AVX512BF16__
  if constexpr (V::kBytes == 64) return (typename Halves<V>::type)_mm512_cvtneps_pbh((__m512)v);
  if constexpr (V::kBytes == 32) return (typename Halves<V>::type)_mm256_cvtneps_pbh((__m256)v);
#endif
  using Whole = typename Halves<V>::whole;
  const auto bits = (Whole)v, nan = (Whole)(v != v);
  const auto rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return __builtin_convertvector((rounded & ~nan) | (0x7fc0 & nan), typename Halves<V>::type);
}

// One value.
template <class S>
STNAS_INLINE S value_of(S value) {
  return value;
}
STNAS_INLINE float value_of(BFloat16 value) {
  const uint32_t bits = uint32_t{value.bits} << 16;
  float wide;
  __builtin_memcpy(&wide, &bits, sizeof wide);
  return wide;
}

template <int N = kLanes>
STNAS_INLINE Vec<float, N> load(const BFloat16* from) {
  using V = Vec<float, N>;
  using Loose = typename Halves<V>::loose;
  V r;
  STNAS_EACH_PART(V)
  r.part[p] = widen<V>(*reinterpret_cast<const Loose*>(from + p * V::kPartLanes));
  return r;
}

template <int N>
STNAS_INLINE void store(BFloat16* to, Vec<float, N> v) {
  using V = Vec<float, N>;
  using Loose = typename Halves<V>::loose;
  STNAS_EACH_PART(V)
  *reinterpret_cast<Loose*>(to + p * V::kPartLanes) = narrow<V>(v.part[p]);
}

template <int N = kLanes>
STNAS_INLINE Vec<float, N> load(const BFloat16* from, index lanes) {
  if (lanes >= N) return load<N>(from);
#ifdef __AVX512F__
  using V = Vec<float, N>;
  if constexpr (N == kLanes)
    return {
        {widen<V>((typename Halves<V>::type)_mm256_maskz_loadu_epi16((1u << lanes) - 1, from))}};
#endif
  BFloat16 copy[N] = {};
  for (index i = 0; i < lanes; ++i) copy[i] = from[i];
  return load<N>(copy);
}

template <int N>
STNAS_INLINE void store(BFloat16* to, Vec<float, N> v, index lanes) {
  if (lanes >= N) return store(to, v);
#ifdef __AVX512F__
  if constexpr (N == kLanes)
    return _mm256_mask_storeu_epi16(to, (1u << lanes) - 1, (__m256i)narrow<Vec<float>>(v.part[0]));
#endif
  BFloat16 copy[N];
  store(copy, v);
  for (index i = 0; i < lanes; ++i) to[i] = copy[i];
}

#ifdef __AVX512BF16__
// Lane by lane the pair (even, odd).
STNAS_INLINE void store_pairs(BFloat16* to, Vec<float> even, Vec<float> odd) {
  const auto halves = (__m512i)_mm512_cvtne2ps_pbh((__m512)odd.part[0], (__m512)even.part[0]);
  const auto lane = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
                                     23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  _mm512_storeu_si512(to, _mm512_permutexvar_epi16(lane, halves));
}

// acc += a[0] b[., 0] + a[1] b[., 1] for a pair of columns of a and N pairs of b.
template <int N>
STNAS_INLINE void add_pairs(Vec<float, N>& acc, const BFloat16* a, const BFloat16* b) {
  int32_t pair;
  __builtin_memcpy(&pair, a, sizeof pair);
  using Part = typename Vec<float, N>::Part;
  if constexpr (N == kLanes)
    acc.part[0] = (Part)_mm512_dpbf16_ps((__m512)acc.part[0], (__m512bh)_mm512_set1_epi32(pair),
                                         (__m512bh)_mm512_loadu_si512(b));
  else
    acc.part[0] =
        (Part)_mm256_dpbf16_ps((__m256)acc.part[0], (__m256bh)_mm256_set1_epi32(pair),
                               (__m256bh)_mm256_loadu_si256(reinterpret_cast<const __m256i*>(b)));
}
#endif

}  // namespace stnas::cpu::STNAS_ISA
