// What is done to every value of an image on its own: the last BN and the sum of a node, BN and
// activation, and the running statistics of a BN.
#pragma once

#include "device/sources.cuh"

namespace stnas::cuda {

// One thread per N channels of a row; neighbours read one piece of memory.
template <int N, class Work>
__global__ void __launch_bounds__(kBlock) rows_kernel(Work work, int64_t rows, int vectors) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  const int64_t row = i / vectors;
  if (row < rows) work.template run<N>(row, static_cast<int>(i % vectors) * N);
}

template <int N, class Work>
void each_row(const Work& work, int64_t rows, int64_t columns, Stream stream) {
  const int64_t vectors = (columns + N - 1) / N, blocks = (rows * vectors + kBlock - 1) / kBlock;
  launch("rows_kernel", &rows_kernel<N, Work>, dim3(static_cast<unsigned>(blocks)), dim3(kBlock), 0,
         stream, work, rows, static_cast<int>(vectors));
}

constexpr int kOthers = 16;  // images that one pass adds

// out = ([out +] BN(y) [+ x] [+ others...]) / divisor; all images [rows, columns].
template <class S>
struct NodeSum {
  Rows<S> y;
  Fold<Wide<S>> fold;
  const S* x;
  const S* others[kOthers];
  int count;
  bool add, wide;
  Wide<S> divisor;
  S* out;

  template <int N>
  __device__ void run(int64_t row, int column) const {
    using T = Wide<S>;
    const int64_t at = row * y.columns + column, left = y.columns - column;
    auto value = y.template read<N>(row, column);
    const FoldOf<T, N> by(fold, column);
#pragma unroll
    for (int i = 0; i < N; ++i) value.at[i] = by.normal(value.at[i], i);
    const auto plus = [&](const S* from) {
      const auto other = cuda::read<N>(from + at, left, wide);
#pragma unroll
      for (int i = 0; i < N; ++i) value.at[i] += other.at[i];
    };
    if (x) plus(x);
    if (add) plus(out);
    for (int k = 0; k < count; ++k) plus(others[k]);
    if (divisor != T(1)) {
#pragma unroll
      for (int i = 0; i < N; ++i) value.at[i] /= divisor;
    }
    write<N>(out + at, value, left, wide);
  }
};

// out = (parts[0] + parts[1] + ...) / divisor; out may be one of the parts.
template <class S>
struct PartSum {
  const S* parts[kOthers];
  int count, columns;
  bool wide;
  Wide<S> divisor;
  S* out;

  template <int N>
  __device__ void run(int64_t row, int column) const {
    const int64_t at = row * columns + column, left = columns - column;
    auto value = read<N>(parts[0] + at, left, wide);
    for (int k = 1; k < count; ++k) {
      const auto other = read<N>(parts[k] + at, left, wide);
#pragma unroll
      for (int i = 0; i < N; ++i) value.at[i] += other.at[i];
    }
    if (divisor != Wide<S>(1)) {
#pragma unroll
      for (int i = 0; i < N; ++i) value.at[i] /= divisor;
    }
    write<N>(out + at, value, left, wide);
  }
};

// out = a(BN x).
template <class T>
struct NormActivated {
  Rows<T> x;
  Fold<T> fold;
  Activation activation;
  T* out;

  template <int N>
  __device__ void run(int64_t row, int column) const {
    auto value = x.template read<N>(row, column);
    const FoldOf<T, N> by(fold, column);
#pragma unroll
    for (int i = 0; i < N; ++i) value.at[i] = activate(activation, by.normal(value.at[i], i));
    write<N>(out + row * x.columns + column, value, x.columns - column, x.wide);
  }
};

// The gradient of x: keep dz - offset - (x - mean) pull with dz = a'(BN x) grad.
template <class T>
struct NormActivatedGradient {
  BeforeNorm<T> before;
  Activation activation;
  T* out;

  template <int N>
  __device__ void run(int64_t row, int column) const {
    const auto& x = before.value;
    auto value = before.grad.template read<N>(row, column);
    const auto v = x.template read<N>(row, column);
    const FoldOf<T, N> fold(before.fold, column);
    const auto keep = whole<N>(before.by.keep + column);
    const auto offset = whole<N>(before.by.offset + column);
    const auto pull = whole<N>(before.by.pull + column);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const T gap = v.at[i] - fold.mean.at[i];
      const T dz = value.at[i] * slope(activation, gap * fold.scale.at[i] + fold.bias.at[i]);
      value.at[i] = (dz * keep.at[i] - offset.at[i]) - gap * pull.at[i];
    }
    write<N>(out + row * x.columns + column, value, x.columns - column, x.wide);
  }
};

// A BN's running statistics, those of the batch over `count` values.
template <class T>
struct Running {
  const T *batch_mean, *batch_variance;
  T *mean, *variance;
  int channels;
  double count;
};

// running += momentum (batch - running), the batch's variance made the unbiased one; one thread per
// channel.
template <class T>
__global__ void __launch_bounds__(kBlock) running_kernel(Running<T> norm, double momentum) {
  const int c = static_cast<int>(blockIdx.x * kBlock + threadIdx.x);
  if (c >= norm.channels) return;
  const double unbiased =
      static_cast<double>(norm.batch_variance[c]) * norm.count / (norm.count - 1);
  const double keep = 1 - momentum;
  norm.mean[c] = static_cast<T>(static_cast<double>(norm.mean[c]) * keep +
                                static_cast<double>(norm.batch_mean[c]) * momentum);
  norm.variance[c] =
      static_cast<T>(static_cast<double>(norm.variance[c]) * keep + unbiased * momentum);
}

}  // namespace stnas::cuda
