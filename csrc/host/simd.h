// Vectors of one channel block: 16 channels, held in as many registers as the instruction set
// needs, and of half a block.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <type_traits>

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "host/numbers.h"

namespace stnas::cpu::STNAS_ISA {

constexpr int kLanes = kBlock;
#if defined(__AVX512F__)
constexpr int kRegisterBytes = 64;
#elif defined(__AVX2__)
constexpr int kRegisterBytes = 32;
#else
constexpr int kRegisterBytes = 16;
#endif

template <class T, int Bytes = kRegisterBytes>
struct Register;
template <int Bytes>
struct Register<float, Bytes> {
  typedef float type __attribute__((vector_size(Bytes)));
  typedef float loose __attribute__((vector_size(Bytes), aligned(4), may_alias));
  typedef int32_t bits __attribute__((vector_size(Bytes)));
};
template <int Bytes>
struct Register<double, Bytes> {
  typedef double type __attribute__((vector_size(Bytes)));
  typedef double loose __attribute__((vector_size(Bytes), aligned(8), may_alias));
  typedef int64_t bits __attribute__((vector_size(Bytes)));
};

// N is 16, or 8 where the last channels of a tensor fill half a block.
template <class T, int N = kLanes>
struct Vec {
  static constexpr int kBytes =
      N * int(sizeof(T)) < kRegisterBytes ? N * int(sizeof(T)) : kRegisterBytes;
  using Part = typename Register<T, kBytes>::type;
  using Loose = typename Register<T, kBytes>::loose;
  static constexpr int kPartLanes = kBytes / sizeof(T);
  static constexpr int kParts = N / kPartLanes;
  Part part[kParts];
};

// Channels of a block that one register holds. Kernels that keep many vectors go through a block's
// channels that many at a time.
template <class T>
constexpr int kRegisterLanes = Vec<T>::kPartLanes;

// Registers that hold accumulators while others hold operands: the budget of every register tile.
template <class T, int N = kLanes>
constexpr int kBudget = (kRegisterBytes == 64 ? 28 : 12) / Vec<T, N>::kParts;

#define STNAS_EACH_PART(...) _Pragma("GCC unroll 16") for (int p = 0; p < __VA_ARGS__::kParts; ++p)
#define STNAS_OPERATOR(op)                                         \
  template <class T, int N>                                        \
  STNAS_INLINE Vec<T, N> operator op(Vec<T, N> a, Vec<T, N> b) {   \
    Vec<T, N> r;                                                   \
    STNAS_EACH_PART(Vec<T, N>) r.part[p] = a.part[p] op b.part[p]; \
    return r;                                                      \
  }
STNAS_OPERATOR(+)
STNAS_OPERATOR(-)
STNAS_OPERATOR(*)
STNAS_OPERATOR(/)
#undef STNAS_OPERATOR

template <class T, int N = kLanes>
STNAS_INLINE Vec<T, N> zero() {
  Vec<T, N> r;
  STNAS_EACH_PART(Vec<T, N>) r.part[p] = typename Vec<T, N>::Part{};
  return r;
}

template <int N = kLanes, class T>
STNAS_INLINE Vec<T, N> broadcast(T value) {
  Vec<T, N> r;
  STNAS_EACH_PART(Vec<T, N>) r.part[p] = value - typename Vec<T, N>::Part{};
  return r;
}

template <int N = kLanes, class T>
STNAS_INLINE Vec<T, N> load(const T* from) {
  using V = Vec<T, N>;
  V r;
  STNAS_EACH_PART(V)
  r.part[p] = *reinterpret_cast<const typename V::Loose*>(from + p * V::kPartLanes);
  return r;
}

template <class T, int N>
STNAS_INLINE void store(T* to, Vec<T, N> v) {
  using V = Vec<T, N>;
  STNAS_EACH_PART(V) * reinterpret_cast<typename V::Loose*>(to + p * V::kPartLanes) = v.part[p];
}

// The first `lanes` of N; the others read as zero and are not written.
template <int N = kLanes, class T>
STNAS_INLINE Vec<T, N> load(const T* from, index lanes) {
  if (lanes >= N) return load<N>(from);
#ifdef __AVX512F__
  if constexpr (sizeof(T) == 4 && N == kLanes)
    return {{(typename Vec<T>::Part)_mm512_maskz_loadu_ps((1u << lanes) - 1, from)}};
#endif
  T copy[N] = {};
  for (index i = 0; i < lanes; ++i) copy[i] = from[i];
  return load<N>(copy);
}

template <class T, int N>
STNAS_INLINE void store(T* to, Vec<T, N> v, index lanes) {
  if (lanes >= N) return store(to, v);
#ifdef __AVX512F__
  if constexpr (sizeof(T) == 4 && N == kLanes)
    return _mm512_mask_storeu_ps(to, (1u << lanes) - 1, (__m512)v.part[0]);
#endif
  T copy[N];
  store(copy, v);
  for (index i = 0; i < lanes; ++i) to[i] = copy[i];
}

// use(16 or 8, j) for the blocks of `columns` channels from j; the last takes 8 where they suffice.
template <class Use>
STNAS_INLINE void for_each_panel(index columns, const Use& use) {
  for (index j = 0; j < columns; j += kLanes)
    if (columns - j > kLanes / 2)
      use(std::integral_constant<int, kLanes>{}, j);
    else
      use(std::integral_constant<int, kLanes / 2>{}, j);
}

// use(N, first channel) for the parts of N channels of a block.
template <int N, class Use>
STNAS_INLINE void for_each_part(const Use& use) {
  for (index lane = 0; lane < kLanes; lane += N) use(std::integral_constant<int, N>{}, lane);
}

// a < b ? x : y; a NaN takes y.
template <class T, int N>
STNAS_INLINE Vec<T, N> where_less(Vec<T, N> a, Vec<T, N> b, Vec<T, N> x, Vec<T, N> y) {
#ifdef __AVX512F__
  if constexpr (sizeof(T) == 4 && N == kLanes) {
    const __mmask16 less = _mm512_cmp_ps_mask((__m512)a.part[0], (__m512)b.part[0], _CMP_LT_OQ);
    return {
        {(typename Vec<T>::Part)_mm512_mask_mov_ps((__m512)y.part[0], less, (__m512)x.part[0])}};
  }
#endif
  Vec<T, N> r;
  STNAS_EACH_PART(Vec<T, N>) r.part[p] = a.part[p] < b.part[p] ? x.part[p] : y.part[p];
  return r;
}

// bound > v ? bound : v and bound < v ? bound : v of one register, an instruction of x86.
template <class T, class Part>
STNAS_INLINE Part larger(Part bound, Part v) {
#ifdef __AVX512F__
  if constexpr (sizeof(T) == 4 && sizeof(Part) == 64)
    return (Part)_mm512_max_ps((__m512)bound, (__m512)v);
#endif
#ifdef __AVX2__
  if constexpr (sizeof(T) == 4 && sizeof(Part) == 32)
    return (Part)_mm256_max_ps((__m256)bound, (__m256)v);
#endif
  return bound > v ? bound : v;
}
template <class T, class Part>
STNAS_INLINE Part smaller(Part bound, Part v) {
#ifdef __AVX512F__
  if constexpr (sizeof(T) == 4 && sizeof(Part) == 64)
    return (Part)_mm512_min_ps((__m512)bound, (__m512)v);
#endif
#ifdef __AVX2__
  if constexpr (sizeof(T) == 4 && sizeof(Part) == 32)
    return (Part)_mm256_min_ps((__m256)bound, (__m256)v);
#endif
  return bound < v ? bound : v;
}

// max and min of a bound and a value; a NaN stays.
template <class T, int N>
STNAS_INLINE Vec<T, N> at_least(Vec<T, N> bound, Vec<T, N> v) {
  STNAS_EACH_PART(Vec<T, N>) v.part[p] = larger<T>(bound.part[p], v.part[p]);
  return v;
}
template <class T, int N>
STNAS_INLINE Vec<T, N> at_most(Vec<T, N> bound, Vec<T, N> v) {
  STNAS_EACH_PART(Vec<T, N>) v.part[p] = smaller<T>(bound.part[p], v.part[p]);
  return v;
}

template <class T>
STNAS_INLINE T sum(Vec<T> v) {
  T lane[kLanes];
  store(lane, v);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) lane[i] += lane[i + width];
  return lane[0];
}

// e^x = 2^n e^r with n = round(x / ln 2) and a polynomial in r, |r| <= ln 2 / 2 (2 ulp).
template <int N>
STNAS_INLINE Vec<float, N> exp(Vec<float, N> x) {
  const auto magic = broadcast<N>(12582912.f);
  x = at_most(broadcast<N>(88.f), at_least(broadcast<N>(-87.f), x));
  const auto shifted = x * broadcast<N>(1.44269504f) + magic;
  const auto n = shifted - magic;
  const auto r = (x - n * broadcast<N>(0.693359375f)) - n * broadcast<N>(-2.12194440e-4f);
  auto poly = broadcast<N>(1.9875691e-4f);
  for (const float c : {1.3981999e-3f, 8.3334519e-3f, 4.1665795e-2f, 1.6666665e-1f, 0.5f, 1.f, 1.f})
    poly = poly * r + broadcast<N>(c);
  using V = Vec<float, N>;
  STNAS_EACH_PART(V) {
    using Bits = typename Register<float, V::kBytes>::bits;
    const Bits scale = ((Bits)shifted.part[p] << 23) + 0x3f800000;
    poly.part[p] = poly.part[p] * (typename V::Part)scale;
  }
  return poly;
}

template <int N>
STNAS_INLINE Vec<double, N> exp(Vec<double, N> x) {
  double lane[N];
  store(lane, x);
  for (double& value : lane) value = std::exp(value);
  return load<N>(lane);
}

template <class T, int N>
STNAS_INLINE Vec<T, N> sigmoid(Vec<T, N> x) {
  return broadcast<N>(T(1)) / (broadcast<N>(T(1)) + exp(zero<T, N>() - x));
}

}  // namespace stnas::cpu::STNAS_ISA
