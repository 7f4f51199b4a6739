// What the kernels of the block between two stages of cells are told.
#pragma once

#include "host/problem.h"

namespace stnas::cpu {

// BN(second * relu(BN(first * relu(x)))) + shortcut mean2x2(x), NHWC: first is 3x3 with stride 2,
// second 3x3, both padded by 1, shortcut 1x1; the mean is over the pixels that are there, BN has
// the statistics of the batch. Kernels are [out][in][size][size].
template <class T>
struct Halving {
  const T *x, *first, *second, *shortcut;
  index images, height, width, in, out;
  Executor executor;

  STNAS_INLINE index rows() const { return (height + 1) / 2; }
  STNAS_INLINE index columns() const { return (width + 1) / 2; }
  STNAS_INLINE index pixels() const { return rows() * columns(); }
  // One over the number of pixels in the window of a pixel of the result.
  STNAS_INLINE T share(index r, index w) const {
    return (2 * r + 1 < height ? T(0.5) : T(1)) * (2 * w + 1 < width ? T(0.5) : T(1));
  }
};

// What both convolutions give before their BN, and its mean and biased variance, [2][2][out].
template <class T>
struct HalvingValues {
  T* z[2];
  T* statistics;
};

// Where gradients go; those of the kernels are null together where they are not wanted.
template <class T>
struct HalvingGradients {
  T *x, *first, *second, *shortcut;
};

template <class T>
struct HalvingKernels {
  using Stored = T;
  void (*halve)(const Halving<T>&, const HalvingValues<T>&, T* out);
  void (*differentiate)(const Halving<T>&, const HalvingValues<T>&, const T* grad,
                        const HalvingGradients<T>&);
};

}  // namespace stnas::cpu
