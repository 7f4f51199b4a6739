// BN: its coefficients, its running statistics, and the coefficients of its gradient.
#pragma once

#include "device/columns.cuh"

namespace stnas::cuda {

// z = (v - mean) scale + bias, scale = weight inverse, inverse = 1 / sqrt(variance + epsilon);
// each of `padded` values, zero behind the channels.
template <class T>
struct Fold {
  T *mean, *inverse, *scale, *bias;
};

template <class T>
Fold<T> take_fold(const Workspace& workspace, int64_t padded) {
  T* at = workspace.take<T>(4 * padded);
  return {at, at + padded, at + 2 * padded, at + 3 * padded};
}

// One thread per channel.
template <class T>
__global__ void __launch_bounds__(kBlock)
    fold_kernel(cpu::Norm<T> norm, int channels, int padded, Fold<T> to) {
  const int c = static_cast<int>(blockIdx.x * kBlock + threadIdx.x);
  if (c >= padded) return;
  const bool there = c < channels;
  const double variance = there ? static_cast<double>(norm.var[c]) : 0.;
  const T inverse = there ? static_cast<T>(1 / sqrt(variance + cpu::kEpsilon)) : T(0);
  to.mean[c] = there ? norm.mean[c] : T(0);
  to.inverse[c] = inverse;
  to.scale[c] = there && norm.weight ? inverse * norm.weight[c] : inverse;
  to.bias[c] = there && norm.bias ? norm.bias[c] : T(0);
}

// Channels are padded to vectors of every type.
constexpr int64_t pad(int64_t channels) { return round_up(channels, 16); }

template <class T>
Fold<T> fold(const Workspace& workspace, const cpu::Norm<T>& norm, int64_t channels,
             Stream stream) {
  const int64_t padded = pad(channels);
  const Fold<T> to = take_fold<T>(workspace, padded);
  const dim3 grid(static_cast<unsigned>((padded + kBlock - 1) / kBlock));
  launch("fold_kernel", &fold_kernel<T>, grid, dim3(kBlock), 0, stream, norm,
         static_cast<int>(channels), static_cast<int>(padded), to);
  return to;
}

// Of N channels: the values that a vector of channels is normalised with.
template <class T, int N>
struct FoldOf {
  Pack<T, N> mean, scale, bias;

  __device__ FoldOf(const Fold<T>& fold, int64_t column)
      : mean(whole<N>(fold.mean + column)),
        scale(whole<N>(fold.scale + column)),
        bias(whole<N>(fold.bias + column)) {}
  __device__ T normal(T value, int i) const {
    return (value - mean.at[i]) * scale.at[i] + bias.at[i];
  }
};

// dv = keep dz - offset - (v - mean) pull for z = BN v; each of `padded` values.
template <class T>
struct NormGradient {
  T *keep, *offset, *pull;
};

// With s1 = sum dz and s2 = sum dz (v - mean) over `count` rows: the gradients of weight, s2
// inverse, and of bias, s1; keep = scale, offset = scale s1 / count, pull = scale inverse^2 s2 /
// count. sums [parts][2][padded]; one warp per channel, whose lanes take every 32nd part.
template <class T>
__global__ void __launch_bounds__(kBlock)
    norm_gradient_kernel(const T* sums, int parts, double count, Fold<T> fold, int channels,
                         int padded, T* affine, NormGradient<T> to) {
  const int c = static_cast<int>(blockIdx.x * kBlock + threadIdx.x) / 32;
  const int lane = threadIdx.x % 32;
  double plain = 0, product = 0;
  for (int part = lane; part < parts && c < channels; part += 32) {
    const int64_t at = static_cast<int64_t>(2 * part) * padded + c;
    plain += static_cast<double>(sums[at]);
    product += static_cast<double>(sums[at + padded]);
  }
  for (unsigned by = 16; by > 0; by /= 2) {
    plain += __shfl_down_sync(0xffffffffu, plain, by);
    product += __shfl_down_sync(0xffffffffu, product, by);
  }
  if (lane != 0 || c >= padded) return;
  const double inverse = static_cast<double>(fold.inverse[c]);
  const double scale = static_cast<double>(fold.scale[c]);
  to.keep[c] = fold.scale[c];
  to.offset[c] = static_cast<T>(scale * plain / count);
  to.pull[c] = static_cast<T>(scale * inverse * inverse * product / count);
  if (c >= channels) return;
  affine[c] = static_cast<T>(product * inverse);
  affine[channels + c] = static_cast<T>(plain);
}

template <class T>
NormGradient<T> norm_gradient(const Workspace& workspace, const T* sums, int parts, int64_t count,
                              const Fold<T>& fold, int64_t channels, T* affine, Stream stream) {
  const int64_t padded = pad(channels);
  T* at = workspace.take<T>(3 * padded);
  const NormGradient<T> to{at, at + padded, at + 2 * padded};
  launch("norm_gradient_kernel", &norm_gradient_kernel<T>, warps(padded), dim3(kBlock), 0, stream,
         sums, parts, static_cast<double>(count), fold, static_cast<int>(channels),
         static_cast<int>(padded), affine, to);
  return to;
}

// What is summed of v and z = BN v, whose coefficients a thread reads once.
template <class S>
struct NormWork {
  using Sum = Wide<S>;
  Rows<S> value;
  Fold<Sum> fold;
  Activation activation;

  template <int N>
  __device__ FoldOf<Sum, N> start(int64_t, int column) const {
    return {fold, column};
  }
};

// Sums of dz and dz (v - mean); dz = a'(z) times the gradient where there is an activation.
template <class S, bool activated>
struct NormSums : NormWork<S> {
  using typename NormWork<S>::Sum;
  Rows<S> grad;

  template <int N>
  __device__ void add(const FoldOf<Sum, N>& by, int64_t row, int column, Sum (&sum)[2][N]) const {
    const auto v = this->value.template read<N>(row, column);
    const auto g = grad.template read<N>(row, column);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const Sum gap = v.at[i] - by.mean.at[i];
      Sum dz = g.at[i];
      if constexpr (activated) dz *= slope(this->activation, gap * by.scale.at[i] + by.bias.at[i]);
      sum[0][i] += dz;
      sum[1][i] += dz * gap;
    }
  }
};

// The gradient of a BN, with the sums over its rows; channels are those of `value`.
template <bool activated, class S>
NormGradient<Wide<S>> norm_gradient(const Workspace& workspace, const Rows<S>& grad,
                                    const Rows<S>& value, int64_t channels,
                                    const Fold<Wide<S>>& fold, Activation activation,
                                    Wide<S>* affine, Stream stream) {
  using T = Wide<S>;
  const Parts parts = cut(value.rows, 64, 256);
  const int64_t padded = pad(channels);
  T* sums = workspace.take<T>(parts.count * 2 * padded);
  sum_columns<2, kVector<S>>(NormSums<S, activated>{{value, fold, activation}, grad}, value.rows,
                             parts.share, padded, sums, stream);
  return norm_gradient(workspace, sums, parts.count, value.rows, fold, channels, affine, stream);
}

}  // namespace stnas::cuda
