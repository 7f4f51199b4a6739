// What the kernels of the convolutions behind a mixed node are told.
#pragma once

#include "host/problem.h"

namespace stnas::cpu {

// z = kernel * max(x, 0), NHWC, padded by size / 2: of all edges that leave a node, side by side,
// `channels` each. kernel is [out][channels][size][size].
template <class T>
struct EdgeConvolutions {
  const T *x, *kernel;
  index images, height, width, channels, out, size;
  Executor executor;

  STNAS_INLINE index pixels() const { return height * width; }
  STNAS_INLINE index edges() const { return out / channels; }
};

// Where the gradient of z comes from, edge by edge: with g that of the node that it enters,
// scale g - offset - (z - mean) pull, of which the BN behind z is made.
template <class T>
struct EdgeGradients {
  const T* z;
  const T* const* grads;        // of the nodes
  const T* const* corrections;  // [mean, scale, offset, pull][channels]
};

template <class T>
struct ConvolutionKernels {
  using Stored = T;
  // statistics: mean and biased variance, [2][out].
  void (*convolve)(const EdgeConvolutions<T>&, T* z, T* statistics);
  // Adds the gradient of x to of_x, and writes that of the kernel where it is there.
  void (*differentiate)(const EdgeConvolutions<T>&, const EdgeGradients<T>&, T* of_x, T* of_kernel);
};

}  // namespace stnas::cpu
