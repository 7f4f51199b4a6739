// What the kernels of stem and tail are told.
#pragma once

#include "host/problem.h"

namespace stnas::cpu {

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

// The kernels of an instruction set.
template <class T>
struct LayerKernels {
  using Stored = T;
  // Mean and biased variance to `statistics`; the gradients of weight and bias to `affine`.
  void (*norm_act)(const NormAct<T>&, T* statistics, T* out);
  void (*norm_act_gradient)(const NormAct<T>&, const T* statistics, const T* grad, T* grad_x,
                            T* affine);
  // Mean over the pixels of an image, [images, channels], and its gradient; the node's x is not
  // read.
  void (*pool)(const Node<T>&, T* out);
  void (*pool_gradient)(const Node<T>&, const T* grad, T* grad_x);
  void (*convolve)(const Convolution<T>&, T* out);
  void (*convolve_input_gradient)(const Convolution<T>&, const T* grad, T* grad_x);
  void (*convolve_weight_gradient)(const Convolution<T>&, const T* grad, T* grad_weight);
};

}  // namespace stnas::cpu
