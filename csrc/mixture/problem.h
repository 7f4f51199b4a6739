// What the kernels of a mixed node are told.
#pragma once

#include "host/problem.h"

namespace stnas::cpu {

// The result of a convolution before its BN, whose pixels are `row` values apart, with its mean and
// biased variance.
template <class T>
struct MixedBranch {
  const T* z;
  index row;
  const T *mean, *var;
  T share;
};

// An earlier node, NHWC, as it is and by its mean over 3x3.
template <class T>
struct MixedSource {
  const T* x;
  T skip, pool;  // shares
};

// out = sum_s skip_s x_s + pool_s mean3x3(x_s) + sum_b share_b BN(z_b), where the mean is over the
// pixels that are there and BN has the statistics of the batch.
template <class T>
struct MixedNode {
  index images, height, width, channels;
  const MixedSource<T>* sources;
  index source_count;
  const MixedBranch<T>* branches;
  index branch_count;
  Executor executor;

  STNAS_INLINE index pixels() const { return height * width; }
  STNAS_INLINE index blocks() const { return (channels + kBlock - 1) / kBlock; }
};

// Where gradients go. grad is that of out.
template <class T>
struct MixedGradients {
  const T* grad;
  T* const* x;     // of each source
  bool add;        // to what x holds
  T* corrections;  // of each branch, by which its gradient is that of out (EdgeGradients)
  T* skip;         // of the shares: skip of each source, pool of each source, share of each branch
};

// Kernels [channels, depth, size, size] of edges, each the sum of its members' in the middle of
// zeros: sum_m share_m K_m / (|K_m| + 1e-6), the norm of each output channel, or sum_m share_m K_m.
template <class T>
struct MergedKernels {
  const T* const* kernels;  // of each edge, its members'
  const index* sizes;       // of each member, odd, at most `size`
  const T* shares;          // [edges, members]
  index edges, members, channels, depth, size;
  bool normalised;
  Executor executor;

  STNAS_INLINE index area() const { return size * size; }
  STNAS_INLINE index values() const { return channels * depth * area(); }  // of an edge
};

// The kernels of an instruction set.
template <class T>
struct MixtureKernels {
  using Stored = T;
  void (*mix)(const MixedNode<T>&, T* out);
  void (*differentiate)(const MixedNode<T>&, const MixedGradients<T>&);
  void (*merge)(const MergedKernels<T>&, T* out);
  // to: the gradients of the members' kernels, in their order; those of the shares.
  void (*differentiate_merge)(const MergedKernels<T>&, const T* grad, T* const* to, T* shares);
};

}  // namespace stnas::cpu
