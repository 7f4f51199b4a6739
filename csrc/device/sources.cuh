// What products read in place of a stored matrix: values that are made as they come in.
#pragma once

#include "device/norms.cuh"

namespace stnas::cuda {

// g a(BN d): the gated hidden tensor. gates: those of an image, rows `step` apart.
template <class S>
struct Gated {
  Rows<S> hidden;
  Fold<Wide<S>> fold;
  const Wide<S>* gates;
  int64_t pixels, step;
  Activation activation;

  template <int N>
  __device__ Pack<Wide<S>, N> read(int64_t row, int64_t column) const {
    Pack<Wide<S>, N> value{};
    if (row >= hidden.rows || column >= hidden.columns) return value;
    value = hidden.template read<N>(row, column);
    const FoldOf<Wide<S>, N> by(fold, column);
    const auto gate = whole<N>(gates + row / pixels * step + column);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      value.at[i] = activate(activation, by.normal(value.at[i], i)) * gate.at[i];
    }
    return value;
  }
};

// The gradient before a BN: keep dz - offset - (v - mean) pull.
template <class S>
struct BeforeNorm {
  Rows<S> grad, value;
  Fold<Wide<S>> fold;
  NormGradient<Wide<S>> by;

  template <int N>
  __device__ Pack<Wide<S>, N> read(int64_t row, int64_t column) const {
    using T = Wide<S>;
    Pack<T, N> out{};
    if (row >= value.rows || column >= value.columns) return out;
    const auto dz = grad.template read<N>(row, column), v = value.template read<N>(row, column);
    const auto mean = whole<N>(fold.mean + column), keep = whole<N>(by.keep + column);
    const auto offset = whole<N>(by.offset + column), pull = whole<N>(by.pull + column);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const T gap = v.at[i] - mean.at[i];
      out.at[i] = (dz.at[i] * keep.at[i] - offset.at[i]) - gap * pull.at[i];
    }
    return out;
  }
};

// x - mean.
template <class S>
struct Centred {
  Rows<S> x;
  const Wide<S>* mean;

  template <int N>
  __device__ Pack<Wide<S>, N> read(int64_t row, int64_t column) const {
    Pack<Wide<S>, N> value{};
    if (row >= x.rows || column >= x.columns) return value;
    value = x.template read<N>(row, column);
    const auto shift = cuda::read<N>(mean + column, x.columns - column, false);
#pragma unroll
    for (int i = 0; i < N; ++i) value.at[i] -= shift.at[i];
    return value;
  }
};

// A weight as the products of images take it: rounded to bfloat16 where they are.
template <class S>
struct Weight {
  Rows<Wide<S>> of;

  template <int N>
  __device__ Pack<Wide<S>, N> read(int64_t row, int64_t column) const {
    auto value = of.template read<N>(row, column);
#pragma unroll
    for (int i = 0; i < N; ++i) value.at[i] = widen(narrow<S>(value.at[i]));
    return value;
  }
};

// Where the gradient of x goes: [to +] v [+ through].
template <class S>
struct InputSink {
  Sink<S> to;
  const S* through;
  bool add;
  int64_t rows;
  int columns;

  template <int N>
  __device__ void write(int64_t part, int64_t row, int column, Pack<Wide<S>, N> value) const {
    if (row >= rows) return;
    const int64_t at = row * columns + column;
    const auto plus = [&](const S* from) {
      const auto other = cuda::read<N>(from + at, columns - column, to.wide);
#pragma unroll
      for (int i = 0; i < N; ++i) value.at[i] += other.at[i];
    };
    if (through) plus(through);
    if (add) plus(to.at);
    to.write(part, row, column, value);
  }
};

}  // namespace stnas::cuda
