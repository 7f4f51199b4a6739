// Kernels of several sizes merged to one, and the gradient: with k = K / (n + t), n = |K|, G the
// gradient in the middle,
//   dshare = <G, k>,  dK = share (G - K <G, K> / (n (n + t))) / (n + t).
#pragma once

#include "host/parallel.h"
#include "host/partial_sums.h"
#include "host/scratch.h"
#include "mixture/problem.h"

namespace stnas::cpu::STNAS_ISA {

constexpr double kTinyNorm = 1e-6;

template <class T>
double product(index count, const T* a, const T* b) {
  auto total = zero<T>();
  index i = 0;
  for (; i + kLanes <= count; i += kLanes) total = total + load(a + i) * load(b + i);
  double sums[kLanes] = {};
  add_lanes(total, sums);
  for (index lane = 1; lane < kLanes; ++lane) sums[0] += sums[lane];
  for (; i < count; ++i) sums[0] += double(a[i]) * double(b[i]);
  return sums[0];
}

// What is multiplied with a channel of a kernel, whose norm is n.
inline double inverse_norm(bool normalised, double n) {
  return normalised ? 1 / (n + kTinyNorm) : 1;
}

// use(place of a value in a channel of a member, place in the middle of the merged one).
template <class T, class Use>
STNAS_INLINE void for_each_middle(const MergedKernels<T>& p, index size, const Use& use) {
  if (size == p.size) {
    for (index i = 0; i < p.depth * p.area(); ++i) use(i, i);
    return;
  }
  const index rim = (p.size - size) / 2;
  for (index d = 0, from = 0; d < p.depth; ++d)
    for (index i = 0; i < size; ++i)
      for (index j = 0; j < size; ++j, ++from) use(from, (d * p.size + i + rim) * p.size + j + rim);
}

template <class T>
void merge(const MergedKernels<T>& p, T* out) {
  const index row = p.depth * p.area();
  parallel(p.executor, p.edges, p.edges * p.members * p.values() / kLanes, [&](index e) {
    for (index c = 0; c < p.channels; ++c) {
      T* to = out + e * p.values() + c * row;
      for (index i = 0; i < row; ++i) to[i] = 0;
      for (index m = 0; m < p.members; ++m) {
        const index count = p.depth * p.sizes[m] * p.sizes[m];
        const T* kernel = p.kernels[e * p.members + m] + c * count;
        const double norm = p.normalised ? std::sqrt(product(count, kernel, kernel)) : 0;
        const T factor = T(double(p.shares[e * p.members + m]) * inverse_norm(p.normalised, norm));
        for_each_middle(p, p.sizes[m],
                        [&](index from, index at) { to[at] += factor * kernel[from]; });
      }
    }
  });
}

template <class T>
void differentiate_merge(const MergedKernels<T>& p, const T* grad, T* const* to, T* shares) {
  const index row = p.depth * p.area();
  parallel(p.executor, p.edges, 3 * p.edges * p.members * p.values() / kLanes, [&](index e) {
    Scratch scratch;
    T* middle = scratch.take<T>(row);
    for (index m = 0; m < p.members; ++m) {
      const index place = e * p.members + m, count = p.depth * p.sizes[m] * p.sizes[m];
      const double share = double(p.shares[place]);
      double of_share = 0;
      for (index c = 0; c < p.channels; ++c) {
        const T *from = grad + e * p.values() + c * row, *kernel = p.kernels[place] + c * count;
        for_each_middle(p, p.sizes[m], [&](index i, index at) { middle[i] = from[at]; });
        const double norm = p.normalised ? std::sqrt(product(count, kernel, kernel)) : 0;
        const double inverse = inverse_norm(p.normalised, norm);
        const double dot = product(count, middle, kernel);
        const T factor = T(share * inverse);
        const T pull = norm > 0 ? T(share * dot * inverse * inverse / norm) : T(0);
        T* own = to[place] + c * count;
        for (index i = 0; i < count; ++i) own[i] = factor * middle[i] - pull * kernel[i];
        of_share += dot * inverse;
      }
      shares[place] = T(of_share);
    }
  });
}

}  // namespace stnas::cpu::STNAS_ISA
