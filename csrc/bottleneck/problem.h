// What the kernels of the choice block are told.
#pragma once

#include "host/problem.h"

namespace stnas::cpu {

// Whether a block stores its expanded tensor for the backward pass: that costs memory traffic in
// `hidden`, and saves products in `in * (2 in + hidden)`. Measured.
STNAS_INLINE constexpr bool stores_expanded(index in, index hidden) {
  return hidden <= in || in * (2 * in + hidden) >= 48 * hidden;
}

struct Shape {
  index images, height, width, in, hidden, out, squeeze, kernel, stride;

  STNAS_INLINE index out_height() const { return (height + stride - 1) / stride; }
  STNAS_INLINE index out_width() const { return (width + stride - 1) / stride; }
  STNAS_INLINE index pixels() const { return height * width; }
  STNAS_INLINE index out_pixels() const { return out_height() * out_width(); }
  STNAS_INLINE index blocks() const { return (hidden + kBlock - 1) / kBlock; }
  STNAS_INLINE index padded() const { return blocks() * kBlock; }
  STNAS_INLINE index padded_squeeze() const { return round_up(squeeze, kBlock); }
  STNAS_INLINE bool stores_expanded() const { return cpu::stores_expanded(in, hidden); }
  // One image's row of `Saved::excitation`: pooled, squeezed, gate.
  STNAS_INLINE index excitation() const { return 2 * padded() + padded_squeeze(); }
};

// Weights in PyTorch's layouts; M = hidden, R = squeeze.
template <class T>
struct Weights {
  const T *expand, *depthwise;             // [M, in], [M, K, K]
  const T *squeeze_weight, *squeeze_bias;  // [R, M], [R]
  const T *excite_weight, *excite_bias;    // [M, R], [M]
  const T* project;                        // [out, M]
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
  T* affine;           // weight and bias gradients of the three BN: [4 M + 2 out]
  bool add_x = false;  // x holds a sum already
};

// The kernels of an instruction set, one table a pass.
template <class S>
struct ForwardKernels {
  using Stored = S;
  using T = Wide<S>;
  void (*train)(const Problem<T, S>&, const Saved<T, S>&, const Target<T, S>&);
  // Mean and covariance over the pixels: [1 + channels, channels].
  void (*moments)(const Node<T, S>&, T* to);
};

template <class S>
struct BackwardKernels {
  using Stored = S;
  using T = Wide<S>;
  void (*differentiate)(const Problem<T, S>&, const Saved<T, S>&, const S* grad,
                        const Gradients<T, S>&);
};

template <class S>
struct InferenceKernels {
  using Stored = S;
  void (*infer)(const Problem<Wide<S>, S>&, S* out);
};

}  // namespace stnas::cpu
