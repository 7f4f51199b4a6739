// Squeeze-and-excitation, forward and backward. Rows of an image hold [pooled, squeezed, gate],
// each padded to 16 values, and rows of gradients mirror them.
#pragma once

#include "device/sources.cuh"

namespace stnas::cuda {

// What a thread adds up for the pooled value: u = a(BN d).
template <class S>
struct Pooling : NormWork<S> {
  using typename NormWork<S>::Sum;

  template <int N>
  __device__ void add(const FoldOf<Sum, N>& by, int64_t row, int column, Sum (&sum)[1][N]) const {
    const auto d = this->value.template read<N>(row, column);
#pragma unroll
    for (int i = 0; i < N; ++i) sum[0][i] += activate(this->activation, by.normal(d.at[i], i));
  }
};

// What the gradient needs of an image: with u = a(z), z = BN d, and du the gradient of the gated u
// before the gate, the sums of a'(z), a'(z) (d - mean), du a'(z), du a'(z) (d - mean) and u du.
template <class S>
struct GateSums : NormWork<S> {
  using typename NormWork<S>::Sum;
  Rows<S> grad;

  template <int N>
  __device__ void add(const FoldOf<Sum, N>& by, int64_t row, int column, Sum (&sum)[5][N]) const {
    const auto d = this->value.template read<N>(row, column);
    const auto du = grad.template read<N>(row, column);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const Sum gap = d.at[i] - by.mean.at[i], z = gap * by.scale.at[i] + by.bias.at[i];
      const Sum down = slope(this->activation, z), through = du.at[i] * down;
      sum[0][i] += down;
      sum[1][i] += down * gap;
      sum[2][i] += through;
      sum[3][i] += through * gap;
      sum[4][i] += activate(this->activation, z) * du.at[i];
    }
  }
};

// sum dz and sum dz (d - mean) over the images: dz = (g du + s) a'(z) makes them sums of products
// of the image's gate g and gradient s of the pooled value with its sums.
template <class T>
struct GatedSums {
  using Sum = T;
  const T *sums, *gates, *pooled;  // [image][5][padded]; rows `step` apart
  int64_t step;
  int padded;

  template <int N>
  __device__ int start(int64_t, int) const {
    return 0;
  }
  template <int N>
  __device__ void add(int, int64_t image, int column, T (&sum)[2][N]) const {
    const auto g = whole<N>(gates + image * step + column);
    const auto s = whole<N>(pooled + image * step + column);
    const T* at = sums + 5 * image * padded + column;
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      const auto down = whole<N>(at + k * padded), through = whole<N>(at + (k + 2) * padded);
#pragma unroll
      for (int i = 0; i < N; ++i) sum[k][i] += g.at[i] * through.at[i] + s.at[i] * down.at[i];
    }
  }
};

// The sum over a warp, in every lane; the same order whatever the lane.
template <class T>
__device__ T warp_sum(T value) {
  for (int by = 16; by > 0; by /= 2) value += __shfl_xor_sync(0xffffffffu, value, by);
  return value;
}

// pooled = sums / pixels, squeezed = relu(W1 pooled + b1), gate = sigmoid(W2 squeezed + b2), zero
// in the padding. One block per image; a warp per squeezed value, a thread per gate.
template <class T>
__global__ void __launch_bounds__(kBlock)
    squeeze_kernel(cpu::Shape s, cpu::Weights<T> w, const T* sums, T* rows) {
  T* pooled = dynamic_shared<T>();
  T* squeezed = pooled + s.padded();
  T* row = rows + blockIdx.x * s.excitation();
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int64_t m = threadIdx.x; m < s.padded(); m += kBlock) {
    pooled[m] = sums[blockIdx.x * s.padded() + m] / static_cast<T>(s.out_pixels());
    row[m] = pooled[m];
  }
  __syncthreads();
  for (int64_t r = warp; r < s.padded_squeeze(); r += kBlock / 32) {
    T sum = 0;
    for (int64_t m = lane; m < s.hidden && r < s.squeeze; m += 32) {
      sum += w.squeeze_weight[r * s.hidden + m] * pooled[m];
    }
    sum = warp_sum(sum);
    const T value = r < s.squeeze ? sum + w.squeeze_bias[r] : T(0);
    if (lane == 0) squeezed[r] = value < T(0) ? T(0) : value;
  }
  __syncthreads();
  for (int64_t r = threadIdx.x; r < s.padded_squeeze(); r += kBlock) {
    row[s.padded() + r] = squeezed[r];
  }
  T* gates = row + s.padded() + s.padded_squeeze();
  for (int64_t m = threadIdx.x; m < s.padded(); m += kBlock) {
    T sum = m < s.hidden ? w.excite_bias[m] : T(0);
    for (int64_t r = 0; r < s.squeeze && m < s.hidden; ++r) {
      sum += w.excite_weight[m * s.squeeze + r] * squeezed[r];
    }
    gates[m] = m < s.hidden ? sigmoid(sum) : T(0);
  }
}

// From the gradient of the gates, the last of `sums`, through sigmoid, W2, relu and W1 to that of
// the pooled values over their pixels: rows of [d pooled / pixels, d squeezed, d gate], the latter
// two before their activations. One block per image, a warp per squeezed value, a thread per
// channel.
template <class T>
__global__ void __launch_bounds__(kBlock)
    squeeze_gradient_kernel(cpu::Shape s, cpu::Weights<T> w, const T* sums, const T* rows,
                            T* grads) {
  T* grad_gates = dynamic_shared<T>();
  T* grad_squeezed = grad_gates + s.padded();
  const T* squeezed = rows + blockIdx.x * s.excitation() + s.padded();
  const T* gates = squeezed + s.padded_squeeze();
  T* to = grads + blockIdx.x * s.excitation();
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int64_t m = threadIdx.x; m < s.padded(); m += kBlock) {
    const T gate = gates[m];
    grad_gates[m] = sums[(5 * blockIdx.x + 4) * s.padded() + m] * gate * (T(1) - gate);
    to[s.padded() + s.padded_squeeze() + m] = grad_gates[m];
  }
  __syncthreads();
  for (int64_t r = warp; r < s.padded_squeeze(); r += kBlock / 32) {
    T sum = 0;
    for (int64_t m = lane; m < s.hidden && r < s.squeeze; m += 32) {
      sum += w.excite_weight[m * s.squeeze + r] * grad_gates[m];
    }
    sum = warp_sum(sum);
    if (lane != 0) continue;
    grad_squeezed[r] = squeezed[r] > T(0) ? sum : T(0);
    to[s.padded() + r] = grad_squeezed[r];
  }
  __syncthreads();
  for (int64_t m = threadIdx.x; m < s.padded(); m += kBlock) {
    T sum = 0;
    for (int64_t r = 0; r < s.squeeze && m < s.hidden; ++r) {
      sum += w.squeeze_weight[r * s.hidden + m] * grad_squeezed[r];
    }
    to[m] = sum / static_cast<T>(s.out_pixels());
  }
}

// What is summed for the gradient of a bias: the rows themselves.
template <class T>
struct Plain {
  using Sum = T;
  Rows<T> of;

  template <int N>
  __device__ int start(int64_t, int) const {
    return 0;
  }
  template <int N>
  __device__ void add(int, int64_t row, int column, T (&sum)[1][N]) const {
    const auto value = of.template read<N>(row, column);
#pragma unroll
    for (int i = 0; i < N; ++i) sum[0][i] += value.at[i];
  }
};

}  // namespace stnas::cuda
