// What the kernels are told: plain pointers, sizes, and how to run tasks in parallel. No torch.
#pragma once

#include <cstddef>
#include <cstdint>

namespace stnas::cpu {

using index = int64_t;

constexpr double kEpsilon = 1e-5;  // of every BN
constexpr index kBlock = 16;       // channels in a block: hidden tensors are stored block by block

// Inlined wherever it is used: the same function compiled for two instruction sets must not be
// shared.
#ifndef STNAS_INLINE
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

enum class Activation : int { relu, relu6, hardswish, silu };

struct Shape {
  index images, height, width, in, hidden, out, squeeze, kernel, stride;

  STNAS_INLINE index out_height() const { return (height + stride - 1) / stride; }
  STNAS_INLINE index out_width() const { return (width + stride - 1) / stride; }
  STNAS_INLINE index pixels() const { return height * width; }
  STNAS_INLINE index out_pixels() const { return out_height() * out_width(); }
  STNAS_INLINE index blocks() const { return (hidden + kBlock - 1) / kBlock; }
  STNAS_INLINE index padded() const { return blocks() * kBlock; }
  STNAS_INLINE index padded_squeeze() const { return round_up(squeeze, kBlock); }
  // Whether the expanded tensor is stored for the backward pass: that costs memory traffic in
  // `hidden`, and saves products in `in * (2 in + hidden)`. Measured.
  STNAS_INLINE bool stores_expanded() const {
    return hidden <= in || in * (2 * in + hidden) >= 48 * hidden;
  }
  // One image's row of `Saved::excitation`: pooled, squeezed, gate.
  STNAS_INLINE index excitation() const { return 2 * padded() + padded_squeeze(); }
};

// Calls task(context, i) for i in [0, count), in any order and on any threads.
struct Executor {
  void (*run)(index count, void (*task)(void* context, index i), void* context);
};

// Weights in PyTorch's layouts; M = hidden, R = squeeze.
template <class T>
struct Weights {
  const T *expand, *depthwise;                   // [M, in], [M, K, K]
  const T *squeeze_weight, *squeeze_bias;        // [R, M], [R]
  const T *excite_weight, *excite_bias;          // [M, R], [M]
  const T *project;                              // [out, M]
};

// BN of one layer; null weight or bias stand for 1 and 0, mean and var are for inference alone.
template <class T>
struct Norm {
  const T *weight, *bias, *mean, *var;
};

// Tensors are NHWC. Images are stored as S; weights, norms and sums are T.
template <class T, class S = T>
struct Problem {
  Shape shape;
  const S* x;
  Weights<T> weights;
  Norm<T> norms[3];
  Activation activation;
  bool residual;
  Executor executor;
  const T* moments = nullptr;  // of x, as `Kernels::moments` gives them; null: not known yet
};

// The node that a training pass adds its result to:
// out = ([out +] block [+ also[0] + also[1] ...]) / divisor.
template <class T, class S = T>
struct Target {
  S* out;
  bool add = false;
  const S* const* also = nullptr;
  index others = 0;
  T divisor = 1;
  T* moments = nullptr;  // of the new out, where they are wanted
};

// The value of a node, NHWC.
template <class T, class S = T>
struct Node {
  const S* x;
  index images, height, width, channels;
  Executor executor;
};

// What the forward pass leaves for the backward pass.
template <class T, class S = T>
struct Saved {
  T* statistics;  // mean and biased variance of the three BN: [4 M + 2 out]
  S* hidden;      // depthwise output before BN [images, blocks, out_pixels, 16]
  S* projected;   // project output before BN [images, out_pixels, out]
  T* excitation;  // [images, 2 padded + padded_squeeze]
  // Of the expand BN: where the expanded tensor is stored, expand x [images, blocks, pixels, 16];
  S* expanded;
  T* moments;  // else the mean of x, then expand times the covariance of x: [1 + M, in].
};

template <class T, class S = T>
struct Gradients {
  S* x;
  T *expand, *depthwise, *squeeze_weight, *squeeze_bias, *excite_weight, *excite_bias, *project;
  T* affine;  // weight and bias gradients of the three BN: [4 M + 2 out]
  bool add_x = false;  // x holds a sum already
};

// A BN with batch statistics and its activation over rows of channels.
template <class T>
struct NormAct {
  const T* x;
  index rows, channels;
  Norm<T> norm;
  Activation activation;
  Executor executor;
};

// A dense convolution of an NHWC x; weight is [out, K, K, in], PyTorch's channels_last order.
template <class T>
struct Convolution {
  const T *x, *weight;
  index images, height, width, in, out, kernel, stride;
  Executor executor;

  STNAS_INLINE index out_height() const { return (height + stride - 1) / stride; }
  STNAS_INLINE index out_width() const { return (width + stride - 1) / stride; }
  STNAS_INLINE index out_pixels() const { return out_height() * out_width(); }
  STNAS_INLINE index depth() const { return kernel * kernel * in; }
  // Whether the patches are the pixels of x, one by one.
  STNAS_INLINE bool is_product() const { return kernel == 1 && stride == 1; }
};

template <class S>
struct Kernels {
  using T = Wide<S>;
  void (*forward)(const Problem<T, S>&, const Saved<T, S>&, const Target<T, S>&);
  void (*backward)(const Problem<T, S>&, const Saved<T, S>&, const S* grad,
                   const Gradients<T, S>&);
  void (*inference)(const Problem<T, S>&, S* out);
  // Mean and covariance over the pixels: [1 + channels, channels].
  void (*moments)(const Node<T, S>&, T* to);
  // Mean and biased variance to `statistics`; the gradients of weight and bias to `affine`.
  void (*norm_act)(const NormAct<T>&, T* statistics, T* out);
  void (*norm_act_gradient)(const NormAct<T>&, const T* statistics, const T* grad, T* grad_x,
                            T* affine);
  // Mean over the pixels of an image, [images, channels], and its gradient; the node's x is not read.
  void (*pool)(const Node<T>&, T* out);
  void (*pool_gradient)(const Node<T>&, const T* grad, T* grad_x);
  void (*convolve)(const Convolution<T>&, T* out);
  void (*convolve_input_gradient)(const Convolution<T>&, const T* grad, T* grad_x);
  void (*convolve_weight_gradient)(const Convolution<T>&, const T* grad, T* grad_weight);
};

// The kernels of the instruction set in use (float, BFloat16) and of the portable one (double).
template <class S>
const Kernels<S>& kernels();

}  // namespace stnas::cpu
