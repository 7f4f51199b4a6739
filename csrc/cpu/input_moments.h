// The statistics of the expand BN without the expanded tensor: e = W x, so mean(e) = W m and
// var(e_k) = w_k' C w_k with m and C the mean and the covariance of x.
#pragma once

#include "moments.h"

namespace stnas::cpu::STNAS_ISA {

// Rows of x minus a vector, as one flat run.
template <class T>
void center(const T* x, index pixels, index channels, const T* pattern, T* to) {
  for_each_vector(pixels, channels, [&](index at, index phase, index lanes) {
    store(to + at, load(x + at, lanes) - load(pattern + phase), lanes);
  });
}

// Sums of x - shift and of its products, [in] and [in, padded], over the pixels of one unit.
template <class T>
void add_products(const T* x, index pixels, index channels, const T* pattern, double* to) {
  const index padded = round_up(channels, kLanes);
  Scratch scratch;
  T* rows = scratch.take<T>(pixels * padded);
  T* dense = padded == channels ? rows : scratch.take<T>(pixels * channels);
  center(x, pixels, channels, pattern, dense);
  if (padded != channels) pad_columns(dense, pixels, channels, padded, rows);
  const auto add = [&](index i, index j, Vec<T> v) {
    T lane[kLanes];
    store(lane, v);
    for (index k = 0; k < kLanes; ++k) to[i * padded + j + k] += double(lane[k]);
  };
  for (index j = 0; j < padded; j += kLanes) {
    add(0, j, column_sums(pixels, rows + j, padded));
    correlate(channels, pixels, dense, channels, rows + j, padded,
              [&](index i, Vec<T> v) { add(i + 1, j, v); });
  }
}

// Mean over the pixels of the first image: close enough to the mean to lose no digits.
template <class T>
const T* pilot_mean(Scratch& scratch, const Problem<T>& p) {
  const index channels = p.shape.in, pixels = p.shape.pixels();
  double* total = scratch.zeros<double>(channels);
  for (index q = 0; q < pixels; ++q)
    for (index c = 0; c < channels; ++c) total[c] += double(p.x[q * channels + c]);
  T* mean = scratch.take<T>(channels);
  for (index c = 0; c < channels; ++c) mean[c] = T(total[c] / double(pixels));
  return mean;
}

// moments[0] = m; covariance (padded columns) as T.
template <class T>
const T* covariance(Scratch& scratch, const Problem<T>& p, const Plan& plan, T* mean) {
  const index channels = p.shape.in, padded = round_up(channels, kLanes);
  const index size = (channels + 1) * padded, pixels = p.shape.pixels();
  const T* shift = pilot_mean(scratch, p);
  T* pattern = scratch.take<T>(pattern_vectors(channels) * kLanes);
  repeat_pattern(shift, channels, pattern);
  double* sums = scratch.zeros<double>(plan.chunks * size);
  for_each_group(plan, p.executor, [&](index g, index chunk) {
    for (index s = 0; s < plan.strips; ++s) {
      const Unit unit = plan.unit(g, s);
      const index rows = unit.images * unit.owned.count();
      add_products(p.x + (unit.image * pixels + unit.owned.begin * p.shape.width) * channels,
                   rows * p.shape.width, channels, pattern, sums + chunk * size);
    }
  });
  for (index c = 1; c < plan.chunks; ++c)
    for (index i = 0; i < size; ++i) sums[i] += sums[c * size + i];
  const double count = double(p.shape.images * pixels);
  T* result = scratch.take<T>(channels * padded);
  for (index i = 0; i < channels; ++i) {
    mean[i] = T(double(shift[i]) + sums[i] / count);
    for (index j = 0; j < padded; ++j)
      result[i * padded + j] = T(sums[(i + 1) * padded + j] / count -
                                 (sums[i] / count) * (sums[j] / count));
  }
  return result;
}

// Fills saved.expanded and the mean and variance of the expand BN.
template <class T>
void expand_statistics(const Problem<T>& p, const Plan& plan, const Saved<T>& saved) {
  const Shape& s = p.shape;
  Scratch scratch;
  T *mean = saved.expanded, *product = saved.expanded + s.in;
  const T* moments = covariance(scratch, p, plan, mean);
  T* panels = scratch.take<T>(s.in * round_up(s.in, kLanes));
  pack_rows(moments, s.in, round_up(s.in, kLanes), s.in, panels);
  for_each_block(s, p.executor, [&](index b) {
    const index first = b * kLanes, rows = least(kLanes, s.hidden - first);
    const T* w = p.weights.expand + first * s.in;
    for (index j = 0; j * kLanes < s.in; ++j)
      multiply(rows, Rows<T>{w, s.in, s.in}, panels + j * s.in * kLanes, [&](index i, Vec<T> v) {
        store(product + (first + i) * s.in + j * kLanes, v, s.in - j * kLanes);
      });
    for (index i = first; i < first + rows; ++i) {
      double average = 0, variance = 0;
      for (index c = 0; c < s.in; ++c) {
        const double weight = double(p.weights.expand[i * s.in + c]);
        average += weight * double(mean[c]);
        variance += weight * double(product[i * s.in + c]);
      }
      saved.statistics[i] = T(average);
      saved.statistics[s.hidden + i] = T(variance < 0 ? 0 : variance);
    }
  });
}

}  // namespace stnas::cpu::STNAS_ISA
