// A BN with batch statistics and its activation over rows of channels: out = a(z), z = BN x, and
//   dx = scale (dz - s1 / P - (x - m) r^2 s2 / P),  dz = a'(z) grad,  s1 = sum dz,
//   s2 = sum dz (x - m).
// Rows are one flat run of vectors; after `period` vectors whole rows come again (pack.h).
#pragma once

#include "host/activation.h"
#include "host/moments.h"
#include "layers/problem.h"

namespace stnas::cpu::STNAS_ISA {

// Rows of channels in tiles that stay in the L1 cache.
struct RowPlan {
  index rows, channels, period;
  Tiles tiles;

  index lanes() const { return period * kLanes; }
  // task(first value, values, chunk) for every tile, those of a chunk in order on one thread.
  template <class Task>
  void for_each_tile(const Executor& executor, const Task& task) const {
    tiles.for_each(executor, 8 * rows * channels / kLanes,
                   [&](index first, index count, index chunk) {
                     task(first * channels, count * channels, chunk);
                   });
  }
};

inline RowPlan row_plan(index rows, index channels) {
  const index period = pattern_vectors(channels), unit = period * kLanes / channels;
  return {rows, channels, period, {rows, round_up(most(1, 4096 / channels), unit)}};
}

// Adds one value to a channel's moments.
inline void add_value(double value, double& count, double& mean, double& squares) {
  const double gap = value - mean;
  mean += gap / ++count;
  squares += gap * (value - mean);
}

// Mean and biased variance from the moments of the tiles' whole periods [chunks][period], and the
// rows after the last of them.
template <class T>
void finish_rows(const RowPlan& plan, const Moments* moments, const T* x, T* statistics) {
  const index channels = plan.channels, rest = plan.rows * channels % plan.lanes();
  const T* tail = x + plan.rows * channels - rest;
  for (index c = 0; c < channels; ++c) {
    double count = 0, mean = 0, squares = 0;
    for (index k = 0; k < plan.tiles.chunks; ++k)
      for (index i = c; i < plan.lanes(); i += channels) {
        const Moments& other = moments[k * plan.period + i / kLanes];
        if (other.count == 0) continue;
        const double total = count + other.count, gap = other.mean[i % kLanes] - mean;
        mean += gap * other.count / total;
        squares += other.squares[i % kLanes] + gap * gap * count * other.count / total;
        count = total;
      }
    for (index i = c; i < rest; i += channels) add_value(double(tail[i]), count, mean, squares);
    statistics[c] = T(mean);
    statistics[channels + c] = T(squares < 0 ? 0 : squares / count);
  }
}

template <class T>
void row_statistics(const NormAct<T>& p, const RowPlan& plan, T* statistics) {
  Scratch scratch;
  auto* moments = scratch.zeros<Moments>(plan.tiles.chunks * plan.period);
  plan.for_each_tile(p.executor, [&](index first, index count, index chunk) {
    const index whole = count / plan.lanes();
    for (index v = 0; v < plan.period && whole > 0; ++v)
      add_vectors(moments[chunk * plan.period + v], p.x + first + v * kLanes, whole, plan.lanes());
  });
  finish_rows(plan, moments, p.x, statistics);
}

// Patterns of mean, scale and bias.
template <class T>
const T* norm_patterns(Scratch& scratch, const Fold<T>& fold, const RowPlan& plan) {
  T* to = scratch.take<T>(3 * plan.lanes());
  repeat_pattern(fold.mean, plan.channels, to);
  repeat_pattern(fold.scale, plan.channels, to + plan.lanes());
  repeat_pattern(fold.bias, plan.channels, to + 2 * plan.lanes());
  return to;
}

template <class Act, class T>
void norm_act(const NormAct<T>& p, T* statistics, T* out) {
  const RowPlan plan = row_plan(p.rows, p.channels);
  row_statistics(p, plan, statistics);
  Scratch scratch;
  const auto fold = fold_norm(scratch, p.norm, statistics, statistics + p.channels, p.channels);
  const T* patterns = norm_patterns(scratch, fold, plan);
  plan.for_each_tile(p.executor, [&](index first, index count, index) {
    for_each_vector(count / p.channels, p.channels, [&](index at, index phase, index lanes) {
      const T* by = patterns + phase;
      const auto gap = load(p.x + first + at, lanes) - load(by);
      store(out + first + at,
            Act::value(gap * load(by + plan.lanes()) + load(by + 2 * plan.lanes())), lanes);
    });
  });
}

// Adds sum dz and sum dz (x - m) of a tile to sums [2][lanes].
template <class Act, class T>
void add_gradient_sums(const RowPlan& plan, const T* patterns, const T* x, const T* grad,
                       index count, double* sums) {
  const index row = plan.lanes();
  for (index v = 0; v < row; v += kLanes) {
    const auto mean = load(patterns + v), scale = load(patterns + row + v);
    const auto bias = load(patterns + 2 * row + v);
    Vec<T> plain = zero<T>(), product = zero<T>();
    for (index at = v; at < count; at += row) {
      const index lanes = count - at;
      const auto gap = load(x + at, lanes) - mean;
      const auto dz = times_slope<Act>(gap * scale + bias)(load(grad + at, lanes));
      plain = plain + dz;
      product = product + dz * gap;
    }
    T lane[2][kLanes];
    store(lane[0], plain);
    store(lane[1], product);
    for (index i = 0; i < kLanes; ++i) {
      sums[v + i] += double(lane[0][i]);
      sums[row + v + i] += double(lane[1][i]);
    }
  }
}

// Patterns of s1 scale / P and s2 scale r^2 / P; gradients of weight and bias in `affine`.
template <class T>
const T* gradient_patterns(Scratch& scratch, const Fold<T>& fold, const RowPlan& plan,
                           const double* sums, T* affine) {
  const index row = plan.lanes(), channels = plan.channels;
  T *offset = scratch.take<T>(2 * channels), *pull = offset + channels;
  for (index c = 0; c < channels; ++c) {
    double plain = 0, product = 0;
    for (index k = 0; k < plan.tiles.chunks; ++k)
      for (index i = c; i < row; i += channels) {
        plain += sums[2 * k * row + i];
        product += sums[(2 * k + 1) * row + i];
      }
    const double inverse = double(fold.inverse[c]);
    const double share = double(fold.scale[c]) / double(plan.rows);
    affine[c] = T(product * inverse);
    affine[channels + c] = T(plain);
    offset[c] = T(share * plain);
    pull[c] = T(share * inverse * inverse * product);
  }
  T* to = scratch.take<T>(2 * row);
  repeat_pattern(offset, channels, to);
  repeat_pattern(pull, channels, to + row);
  return to;
}

template <class Act, class T>
void norm_act_gradient(const NormAct<T>& p, const T* statistics, const T* grad, T* grad_x,
                       T* affine) {
  const RowPlan plan = row_plan(p.rows, p.channels);
  const index row = plan.lanes();
  Scratch scratch;
  const auto fold = fold_norm(scratch, p.norm, statistics, statistics + p.channels, p.channels);
  const T* patterns = norm_patterns(scratch, fold, plan);
  double* sums = scratch.zeros<double>(plan.tiles.chunks * 2 * row);
  plan.for_each_tile(p.executor, [&](index first, index count, index chunk) {
    add_gradient_sums<Act>(plan, patterns, p.x + first, grad + first, count,
                           sums + chunk * 2 * row);
  });
  const T* minus = gradient_patterns(scratch, fold, plan, sums, affine);
  plan.for_each_tile(p.executor, [&](index first, index count, index) {
    for_each_vector(count / p.channels, p.channels, [&](index at, index phase, index lanes) {
      const T* by = patterns + phase;
      const auto scale = load(by + row), gap = load(p.x + first + at, lanes) - load(by);
      const auto z = gap * scale + load(by + 2 * row);
      const auto dz = times_slope<Act>(z)(load(grad + first + at, lanes));
      store(grad_x + first + at,
            (dz * scale - load(minus + phase)) - gap * load(minus + row + phase), lanes);
    });
  });
}

}  // namespace stnas::cpu::STNAS_ISA
