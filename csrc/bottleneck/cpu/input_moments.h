// The statistics of the expand BN without the expanded tensor: e = W x, so mean(e) = W m and
// var(e_k) = w_k' C w_k with m and C the mean and the covariance of x.
#pragma once

#include <algorithm>

#include "bottleneck/cpu/plan.h"
#include "host/gemm.h"
#include "host/moments.h"
#include "host/partial_sums.h"

namespace stnas::cpu::STNAS_ISA {

// Rows of x minus a vector, padded with zeros to `row` values.
template <class O, class T, class S>
void center(const S* x, index pixels, index channels, const T* pattern, O* to, index row) {
  if (row == channels)
    return for_each_vector(pixels, channels, [&](index at, index phase, index lanes) {
      store(to + at, load(x + at, lanes) - load(pattern + phase), lanes);
    });
  for (index j = 0; j < row; j += kLanes) {
    const index lanes = channels - j;
    const auto shift = load(pattern + j, lanes);
    for (index i = 0; i < pixels; ++i)
      store(to + i * row + j, load(x + i * channels + j, lanes) - shift, row - j);
  }
}

// Sums of x - shift and of its products, [1 + channels, padded], over the pixels of one unit.
template <class T, class S>
void add_products(const S* x, index pixels, index channels, const T* pattern, double* to) {
  const index padded = round_up(channels, kLanes), row = round_up(channels, kLanes / 2);
  Scratch scratch;
  T* rows = scratch.take<T>(pixels * row);
  T* dense = row == channels ? rows : scratch.take<T>(pixels * channels);
  center(x, pixels, channels, pattern, dense, channels);
  if (row != channels) pad_columns(dense, pixels, channels, row, rows);
  for_each_panel(row, [&](auto lanes, index j) {
    add_lanes(column_sums<lanes>(pixels, rows + j, row), to + j);
    correlate<lanes>(channels, pixels, dense, channels, rows + j, row,
                     [&](index i, Vec<T, lanes> v) { add_lanes(v, to + (i + 1) * padded + j); });
  });
}

// Sums for the moments of a node. They follow from the node's sizes and values alone, whoever adds
// them, so that all edges that leave a node see the same bits.
template <class T>
struct MomentSums {
  index channels, padded;
  const T *shift, *pattern;  // close enough to the mean to lose no digits
  double* chunks;            // [chunks][1 + channels][padded]

  double* chunk(index c) const { return chunks + c * (1 + channels) * padded; }
};

template <class T, class S>
Plan node_plan(const Node<T, S>& node) {
  const index c = node.channels;
  return make_plan({node.images, node.height, node.width, c, 4 * c, c, 1, 1, 1});
}

// The shift is the mean over the pixels of the first image.
template <class T, class S>
MomentSums<T> start_sums(Scratch& scratch, const Node<T, S>& node, const S* image, index chunks) {
  const index channels = node.channels, padded = round_up(channels, kLanes);
  const index pixels = node.height * node.width;
  double* total = scratch.zeros<double>(channels);
  for (index q = 0; q < pixels; ++q)
    for (index c = 0; c < channels; ++c) total[c] += double(value_of(image[q * channels + c]));
  T* shift = scratch.take<T>(channels);
  for (index c = 0; c < channels; ++c) shift[c] = T(total[c] / double(pixels));
  T* pattern = scratch.take<T>(pattern_vectors(channels) * kLanes);
  repeat_pattern(shift, channels, pattern);
  return {channels, padded, shift, pattern,
          scratch.zeros<double>(chunks * (1 + channels) * padded)};
}

// Mean, then covariance.
template <class T>
void finish_sums(const MomentSums<T>& of, index chunks, double count, T* to) {
  const index channels = of.channels, padded = of.padded;
  double* sums = of.chunks;
  for (index c = 1; c < chunks; ++c)
    for (index i = 0; i < (1 + channels) * padded; ++i) sums[i] += of.chunk(c)[i];
  for (index i = 0; i < channels; ++i) {
    to[i] = T(double(of.shift[i]) + sums[i] / count);
    for (index j = 0; j < channels; ++j)
      to[(1 + i) * channels + j] =
          T(sums[(i + 1) * padded + j] / count - (sums[i] / count) * (sums[j] / count));
  }
}

// task(first, pixels, chunk) for the runs of pixels that the plan makes of a node, the runs of a
// chunk in order on one thread.
template <class T, class S, class Task>
void for_each_run(const Node<T, S>& node, const Plan& plan, const Task& task) {
  for_each_group(plan, node.executor, [&](index g, index chunk) {
    for (index strip = 0; strip < plan.strips; ++strip) {
      const Unit unit = plan.unit(g, strip);
      task((unit.image * node.height + unit.rows.begin) * node.width,
           unit.images * unit.rows.count() * node.width, chunk);
    }
  });
}

template <class T, class S>
void node_moments(const Node<T, S>& node, T* to) {
  const Plan plan = node_plan(node);
  Scratch scratch;
  const auto sums = start_sums(scratch, node, node.x, plan.chunks);
  for_each_run(node, plan, [&](index first, index pixels, index chunk) {
    add_products(node.x + first * node.channels, pixels, node.channels, sums.pattern,
                 sums.chunk(chunk));
  });
  finish_sums(sums, plan.chunks, double(node.images * node.height * node.width), to);
}

// Fills saved.expanded and the mean and variance of the expand BN.
template <class T, class S>
void expand_statistics(const Problem<T, S>& p, const Saved<T, S>& saved) {
  const Shape& s = p.shape;
  Scratch scratch;
  T *mean = saved.moments, *product = saved.moments + s.in;
  const T* moments = p.moments;
  if (!moments) {
    T* own = scratch.take<T>((1 + s.in) * s.in);
    node_moments<T, S>({p.x, s.images, s.height, s.width, s.in, p.executor}, own);
    moments = own;
  }
  std::copy(moments, moments + s.in, mean);
  T* panels = scratch.take<T>(s.in * round_up(s.in, kLanes));
  pack_rows(moments + s.in, s.in, s.in, s.in, panels);
  for_each_block(s, p.executor, s.in * (s.in + 2 * kLanes), [&](index b) {
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
