// What the kernels of half a separable convolution are told: scale BN(W sum_t DW_t ReLU(x_t)), the
// BN with a weight and a bias or without.
#pragma once

#include "host/problem.h"

namespace stnas::cpu {

// A depthwise convolution of ReLU(x), x NHWC, padded so that ceil(side / stride) remain. Without a
// weight: every `stride`-th pixel of ReLU(x) from (shift, shift) on, zeros beyond the image.
template <class T>
struct Term {
  const T* x;
  const T* weight;  // [in, K, K], or null, with kernel 0
  index kernel, stride, grid, shift, height, width;

  // Pixels that `grid` keeps apart never meet: they are lattices, each a convolution on the grid 1.
  // At a stride of the grid the first one alone is read.
  STNAS_INLINE index lattices() const { return stride % grid ? grid : 1; }  // a side
  STNAS_INLINE index inner_stride() const { return stride % grid ? stride : stride / grid; }
  STNAS_INLINE index taps() const { return kernel * kernel; }
  STNAS_INLINE bool reads_all() const { return weight ? grid == lattices() : stride == 1; }
};

template <class T>
struct SeparableProblem {
  index images, in, out, height, width;  // height and width of the result
  const Term<T>* terms;
  index count;
  const T* weight;       // [out, in]
  const T* scale;        // a value, or null: 1
  const T* norm_weight;  // [out], or null: 1
  const T* norm_bias;    // [out], or null: 0
  T* values;             // the sum of the terms, [groups, in_blocks, pixels, 16]
  T* moments;            // of the values: mean and covariance, [1 + in, in]
  T* statistics;         // mean and biased variance of the BN, [2 out]
  Executor executor;

  // Lanes of a block that an image takes; where channels are few, several images share a block.
  STNAS_INLINE index lanes() const {
    const index most = in > out ? in : out;
    index lanes = kBlock;
    while (lanes > 2 && 2 * most <= lanes) lanes /= 2;
    return lanes;
  }
  STNAS_INLINE index together() const { return kBlock / lanes(); }
  STNAS_INLINE index groups() const { return (images + together() - 1) / together(); }
  STNAS_INLINE index in_blocks() const { return (in + kBlock - 1) / kBlock; }
  STNAS_INLINE index out_blocks() const { return (out + kBlock - 1) / kBlock; }
  STNAS_INLINE index pixels() const { return height * width; }
  STNAS_INLINE index kept() const { return groups() * in_blocks() * pixels() * kBlock; }

  // The result is scale (weight z + bias), z normalised.
  STNAS_INLINE double whole_scale() const { return scale ? double(*scale) : 1; }
  STNAS_INLINE double weight_of(index c) const { return norm_weight ? double(norm_weight[c]) : 1; }
  STNAS_INLINE double bias_of(index c) const { return norm_bias ? double(norm_bias[c]) : 0; }
};

// Gradients: of each x and each depthwise weight, of the 1x1, of the scale (a value), of the BN's
// weight and bias [2 out].
template <class T>
struct SeparableGradients {
  T* const* x;
  T* const* depthwise;
  T *weight, *scale, *affine;
};

// The kernels of an instruction set, one table a pass.
template <class T>
struct SeparableForward {
  using Stored = T;
  void (*train)(const SeparableProblem<T>&, T* out);
};

template <class T>
struct SeparableBackward {
  using Stored = T;
  void (*differentiate)(const SeparableProblem<T>&, const T* grad, const SeparableGradients<T>&);
};

}  // namespace stnas::cpu
