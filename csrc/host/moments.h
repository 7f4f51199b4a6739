// Mean and variance without cancellation: centred sums in T over a unit, merged in double.
#pragma once

#include <cmath>

#include "host/correlate.h"
#include "host/pack.h"
#include "host/scratch.h"

namespace stnas::cpu::STNAS_ISA {

// Count, mean and sum of squared deviations of 16 channels.
struct Moments {
  double count = 0, mean[kLanes] = {}, squares[kLanes] = {};

  // Chan, Golub & LeVeque 1979: squares += squares' + (mean' - mean)^2 n n' / (n + n').
  void merge(double other, const double* other_mean, const double* other_squares) {
    const double total = count + other;
    if (total == 0) return;
    const double share = other / total, weight = count * share;
    for (int i = 0; i < kLanes; ++i) {
      const double gap = other_mean[i] - mean[i];
      mean[i] += gap * share;
      squares[i] += other_squares[i] + gap * gap * weight;
    }
    count = total;
  }
  void merge(const Moments& other) { merge(other.count, other.mean, other.squares); }
};

// Adds `segments` runs of `count` vectors that stand `row` values apart, the runs `step` apart.
template <int N = kLanes, class S>
void add_vectors(Moments& to, const S* from, index count, index row, index segments = 1,
                 index step = 0) {
  using T = Wide<S>;
  auto total = zero<T, N>();
  for (index s = 0; s < segments; ++s) total = total + column_sums<N>(count, from + s * step, row);
  const auto mean = total * broadcast<N>(T(1) / T(segments * count));
  Vec<T, N> acc[4] = {zero<T, N>(), zero<T, N>(), zero<T, N>(), zero<T, N>()};
  auto rest = zero<T, N>();
  for (index s = 0; s < segments; ++s) {
    const S* at = from + s * step;
    index q = 0;
    for (; q + 4 <= count; q += 4, at += 4 * row)
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const auto gap = load<N>(at + i * row) - mean;
        acc[i] = acc[i] + gap * gap;
        rest = rest + gap;
      }
    for (; q < count; ++q, at += row) {
      const auto gap = load<N>(at) - mean;
      acc[0] = acc[0] + gap * gap;
      rest = rest + gap;
    }
  }
  T mean_lane[N], square_lane[N], rest_lane[N];
  store(mean_lane, mean);
  store(rest_lane, rest);
  store(square_lane, (acc[0] + acc[1]) + (acc[2] + acc[3]));
  double means[kLanes] = {}, squares[kLanes] = {};
  const double values = double(segments * count);
  for (int i = 0; i < N; ++i) {
    const double shift = rest_lane[i] / values;  // what rounding left in the mean
    means[i] = double(mean_lane[i]) + shift;
    squares[i] = double(square_lane[i]) - values * shift * shift;
  }
  to.merge(values, means, squares);
}

// Writes mean and biased variance of `channels` from the chunks' moments [chunks, blocks].
template <class T>
void finish_moments(const Moments* from, index chunks, index channels, T* mean, T* var) {
  const index blocks = (channels + kLanes - 1) / kLanes;
  for (index b = 0; b < blocks; ++b) {
    Moments total;
    for (index c = 0; c < chunks; ++c) total.merge(from[c * blocks + b]);
    for (index i = 0; i < kLanes && b * kLanes + i < channels; ++i) {
      mean[b * kLanes + i] = T(total.mean[i]);
      const double value = total.squares[i] / total.count;
      var[b * kLanes + i] = T(value < 0 ? 0 : value);
    }
  }
}

// Coefficients of z = (value - mean) * scale + bias, padded with zeros to whole blocks; inverse = 1
// / std.
template <class T>
struct Fold {
  T *mean, *inverse, *scale, *bias;
};

template <class T>
Fold<T> fold_norm(Scratch& scratch, const Norm<T>& norm, const T* mean, const T* var,
                  index channels) {
  const index padded = round_up(channels, kLanes);
  Fold<T> fold{scratch.zeros<T>(padded), scratch.zeros<T>(padded), scratch.zeros<T>(padded),
               scratch.zeros<T>(padded)};
  for (index c = 0; c < channels; ++c) {
    fold.mean[c] = mean[c];
    fold.inverse[c] = T(1 / std::sqrt(double(var[c]) + kEpsilon));
    fold.scale[c] = fold.inverse[c] * (norm.weight ? norm.weight[c] : T(1));
    fold.bias[c] = norm.bias ? norm.bias[c] : T(0);
  }
  return fold;
}

}  // namespace stnas::cpu::STNAS_ISA
