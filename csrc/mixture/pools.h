// What the kernels of the pools of a node are told: BN(max3x3(x)) and BN(mean3x3(x)).
#pragma once

#include "host/problem.h"

namespace stnas::cpu {

// Windows of 3x3 around every `stride`-th pixel of x, NHWC; the mean is over the pixels that are
// there, BN has the statistics of the batch.
template <class T>
struct PoolsProblem {
  const T* x;
  index images, height, width, channels, stride;
  T* out[2];        // of the maximum and of the mean
  uint8_t* places;  // of the first maximum in its window, 0 to 8, like out
  T* inverse;       // 1 / std of both, [2, channels]
  Executor executor;

  STNAS_INLINE index rows() const { return (height + stride - 1) / stride; }
  STNAS_INLINE index columns() const { return (width + stride - 1) / stride; }
  STNAS_INLINE index pixels() const { return rows() * columns(); }
};

template <class T>
struct PoolsKernels {
  using Stored = T;
  void (*pool)(const PoolsProblem<T>&);
  void (*differentiate)(const PoolsProblem<T>&, const T* const grad[2], T* of_x);
};

}  // namespace stnas::cpu
