// What the kernels of the shuffle block are told.
#pragma once

#include "host/problem.h"

namespace stnas::cpu {

// A convolution of a head and the BN after it: 1x1 with a ReLU behind its BN, or depthwise.
template <class T>
struct HeadLayer {
  const T* weight;  // [out, in], or [out, K, K]
  Norm<T> norm;
  index in, out, kernel, stride, height, width;  // height and width of its input
  T* values;      // before the BN, [images, blocks, out_pixels, 16]; null in inference
  T* statistics;  // mean and biased variance of the BN, [2 out]; null in inference

  STNAS_INLINE bool is_depthwise() const { return kernel > 1; }
  STNAS_INLINE index out_height() const { return (height + stride - 1) / stride; }
  STNAS_INLINE index out_width() const { return (width + stride - 1) / stride; }
  STNAS_INLINE index pixels() const { return height * width; }
  STNAS_INLINE index out_pixels() const { return out_height() * out_width(); }
  STNAS_INLINE index in_blocks() const { return (in + kBlock - 1) / kBlock; }
  STNAS_INLINE index blocks() const { return (out + kBlock - 1) / kBlock; }
};

// Layers of both kinds in turn, the last a 1x1. They read the channels of x, or each second one
// from the second on, and write channels of the result from `target` on.
template <class T>
struct Head {
  const HeadLayer<T>* layers;
  index count, target;
};

constexpr index kMostLayers = 6;

// x and the result are NHWC. One head: the other half of x's channels comes first in the result.
template <class T>
struct ShuffleProblem {
  const T* x;
  index images, height, width, in, out;
  Head<T> heads[2];
  index count;  // of heads
  Executor executor;

  STNAS_INLINE bool keeps_half() const { return count == 1; }
  STNAS_INLINE index step() const { return keeps_half() ? 2 : 1; }
  STNAS_INLINE index read() const { return in / step(); }  // channels that a head reads
  STNAS_INLINE index pixels() const { return height * width; }
};

// Gradients of a layer: weight like the weight, affine [2 out] of the BN's weight and bias.
template <class T>
struct LayerGradient {
  T *weight, *affine;
};

template <class T>
struct ShuffleGradients {
  T* x;
  const LayerGradient<T>* layers[2];  // of each head
};

// The kernels of an instruction set, one table a pass.
template <class T>
struct ShuffleForward {
  using Stored = T;
  void (*train)(const ShuffleProblem<T>&, T* out);
  void (*infer)(const ShuffleProblem<T>&, T* out);
};

template <class T>
struct ShuffleBackward {
  using Stored = T;
  void (*differentiate)(const ShuffleProblem<T>&, const T* grad, const ShuffleGradients<T>&);
};

}  // namespace stnas::cpu
