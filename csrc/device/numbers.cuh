// Values of images and of sums: types, vectors of 16 bytes, activations.
#pragma once

#include "device/compat.cuh"

#include "host/problem.h"

namespace stnas::cuda {

using cpu::Activation;
using cpu::BFloat16;
using cpu::Wide;

// Channels that a thread reads at once: 16 bytes of float32 or bfloat16, 32 of float64.
template <class S>
constexpr int kVector = sizeof(S) == 2 ? 8 : 4;

__device__ inline float widen(BFloat16 value) {
  return __int_as_float(static_cast<int>(static_cast<uint32_t>(value.bits) << 16));
}
template <class T>
__device__ T widen(T value) {
  return value;
}

template <class S>
__device__ S narrow(Wide<S> value) {
  if constexpr (sizeof(S) == 2) {
    return {round_to_bfloat16(value)};
  } else {
    return value;
  }
}

// The first `left` of N values from `from`, the others as zeros; all in 16-byte accesses if `wide`.
template <int N, class S>
__device__ Pack<Wide<S>, N> read(const S* from, int64_t left, bool wide) {
  Pack<Wide<S>, N> to;
  if (wide && left >= N) {
    const auto stored = *reinterpret_cast<const Pack<S, N>*>(from);
#pragma unroll
    for (int i = 0; i < N; ++i) to.at[i] = widen(stored.at[i]);
  } else {
#pragma unroll
    for (int i = 0; i < N; ++i) to.at[i] = i < left ? widen(from[i]) : Wide<S>(0);
  }
  return to;
}

template <int N, class S>
__device__ void write(S* to, const Pack<Wide<S>, N>& values, int64_t left, bool wide) {
  if (wide && left >= N) {
    Pack<S, N> stored;
#pragma unroll
    for (int i = 0; i < N; ++i) stored.at[i] = narrow<S>(values.at[i]);
    *reinterpret_cast<Pack<S, N>*>(to) = stored;
  } else {
#pragma unroll
    for (int i = 0; i < N; ++i) {
      if (i >= left) continue;
      if constexpr (sizeof(S) == 2) {
        to[i].bits = round_to_bfloat16(values.at[i]);
      } else {
        to[i] = values.at[i];
      }
    }
  }
}

// N values that lie aligned, all there.
template <int N, class T>
__device__ Pack<T, N> whole(const T* from) {
  return *reinterpret_cast<const Pack<T, N>*>(from);
}

// A matrix of `columns` whose rows lie `stride` values apart; zero beyond its edges.
template <class S>
struct Rows {
  const S* at;
  int64_t rows, stride;
  int columns;
  bool wide;

  template <int N>
  __device__ Pack<Wide<S>, N> read(int64_t row, int64_t column) const {
    return cuda::read<N>(at + row * stride + column, row < rows ? columns - column : 0, wide);
  }
};

// Whether rows from `at` can be read in vectors.
template <class S>
bool is_wide(const S* at, int64_t stride) {
  return aligned(at) && stride % kVector<S> == 0;
}

template <class S>
Rows<S> dense(const S* at, int64_t rows, int64_t columns) {
  return {at, rows, columns, static_cast<int>(columns), is_wide(at, columns)};
}

__device__ inline float exponential(float z) { return expf(z); }
__device__ inline double exponential(double z) { return exp(z); }

template <class T>
__device__ T sigmoid(T z) {
  return T(1) / (T(1) + exponential(-z));
}

// a(z); a NaN stays.
template <class T>
__device__ T activate(Activation kind, T z) {
  const T low = kind == Activation::hardswish ? z + T(3) : z;
  const T from = low < T(0) ? T(0) : low, between = T(6) < from ? T(6) : from;
  switch (kind) {
    case Activation::relu:
      return from;
    case Activation::relu6:
      return between;
    case Activation::hardswish:
      return z * between * T(1. / 6);
    default:
      return z * sigmoid(z);
  }
}

// a'(z), at the kinks as PyTorch has it.
template <class T>
__device__ T slope(Activation kind, T z) {
  if (kind == Activation::silu) {
    const T s = sigmoid(z);
    return s * (T(1) + z * (T(1) - s));
  }
  if (kind == Activation::hardswish) {
    return z <= T(-3) ? T(0) : T(3) <= z ? T(1) : z * T(1. / 3) + T(0.5);
  }
  return T(0) < z && (kind == Activation::relu || z < T(6)) ? T(1) : T(0);
}

}  // namespace stnas::cuda
