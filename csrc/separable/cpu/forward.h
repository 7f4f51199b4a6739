// The training pass in two: the sum of the depthwise convolutions with its mean m and covariance C,
// which give the BN behind the 1x1 its mean w'm and variance w'Cw; then the 1x1 with the BN folded
// in, whose result is written once.
#pragma once

#include <cmath>

#include "host/correlate.h"
#include "host/gemm.h"
#include "host/partial_sums.h"
#include "separable/cpu/term.h"

namespace stnas::cpu::STNAS_ISA {

// Count, mean and sums of products of deviations of channels: doubles in memory of its own.
struct Covariance {
  index channels;
  double *count, *mean, *products;

  static index size(index channels) { return 1 + channels + channels * channels; }
  static Covariance at(double* data, index channels) {
    return {channels, data, data + 1, data + 1 + channels};
  }
  // Chan, Golub & LeVeque 1979: products += products' + gap gap' n n' / (n + n'); rows of `row`.
  template <class T>
  void merge(double other, const double* other_mean, const T* other_products, index row) const {
    const double total = *count + other, share = other / total, weight = *count * share;
    for (index i = 0; i < channels; ++i) {
      const double pull = (other_mean[i] - mean[i]) * weight;
      double* to = products + i * channels;
      for (index j = 0; j < channels; ++j)
        to[j] += double(other_products[i * row + j]) + pull * (other_mean[j] - mean[j]);
    }
    for (index i = 0; i < channels; ++i) mean[i] += (other_mean[i] - mean[i]) * share;
    *count = total;
  }
};

constexpr index kTilePixels = 128;

// Deviations from a mean [blocks][16] of pixels [first, first + count) of values
// [block][pixel][16], to [block][count][16], blocks `step` apart.
template <class T>
STNAS_INLINE void subtract_mean(const T* values, index blocks, index pixels, index first,
                                index count, const T* mean, index step, T* to) {
  for (index b = 0; b < blocks; ++b) {
    const auto shift = load(mean + b * kLanes);
    const T* from = values + (b * pixels + first) * kLanes;
    for (index i = 0; i < count; ++i)
      store(to + b * step + i * kLanes, load(from + i * kLanes) - shift);
  }
}

// sums[i][j][16][16] += a_i' b_j over `count` rows of blocks that stand `step` values apart;
// upper: of j >= i alone.
template <class T>
STNAS_INLINE void correlate_blocks(const T* a, index a_blocks, const T* b, index b_blocks,
                                   index count, index step, bool upper, T* sums) {
  for (index i = 0; i < a_blocks; ++i)
    for (index j = upper ? i : 0; j < b_blocks; ++j) {
      T* to = sums + (i * b_blocks + j) * kLanes * kLanes;
      correlate(kLanes, count, a + i * step, kLanes, b + j * step, kLanes,
                [&](index row, Vec<T> v) __attribute__((always_inline)) {
                  store(to + row * kLanes, load(to + row * kLanes) + v);
                });
    }
}

// Mean [blocks][16] of the values of a unit in T, and what rounding left in it.
template <class T>
void unit_mean(const T* values, index blocks, index pixels, index groups, T* mean) {
  const T share = T(1) / T(groups * pixels);
  for (index b = 0; b < blocks; ++b) {
    auto total = zero<T>();
    for (index g = 0; g < groups; ++g)
      total = total + column_sums(pixels, values + (g * blocks + b) * pixels * kLanes, kLanes);
    store(mean + b * kLanes, total * broadcast(share));
  }
}

// Adds the moments of a unit's values to a chunk's.
template <class T>
void add_moments(const SeparableProblem<T>& p, const ImageGroups& unit, const Covariance& to) {
  const index blocks = p.in_blocks(), pixels = p.pixels(), step = kTilePixels * kLanes;
  const index padded = blocks * kLanes;
  const T* values = p.values + unit.first * padded * pixels;
  Scratch scratch;
  T *mean = scratch.take<T>(padded), *tile = scratch.take<T>(blocks * step);
  T* sums = scratch.zeros<T>(padded * padded);
  double *means = scratch.zeros<double>(padded), *products = scratch.take<double>(padded * padded);
  unit_mean(values, blocks, pixels, unit.count, mean);
  for (index g = 0; g < unit.count; ++g)
    for (index q = 0; q < pixels; q += kTilePixels) {
      const index count = least(kTilePixels, pixels - q);
      subtract_mean(values + g * padded * pixels, blocks, pixels, q, count, mean, step, tile);
      correlate_blocks(tile, blocks, tile, blocks, count, step, true, sums);
      for (index b = 0; b < blocks; ++b)
        add_lanes(column_sums(count, tile + b * step, kLanes), means + b * kLanes);
    }
  const double count = double(unit.count * pixels);
  for (index i = 0; i < padded; ++i) means[i] = double(mean[i]) + means[i] / count;
  for (index i = 0; i < padded; ++i)
    for (index j = 0; j < padded; ++j) {
      const index row = least(i, j), column = most(i, j);
      const index at = (row / kLanes * blocks + column / kLanes) * kLanes + row % kLanes;
      products[i * padded + j] = double(sums[at * kLanes + column % kLanes]);
    }
  for (index f = 0; f < unit.images; ++f) {
    const index lane = f * p.lanes();
    to.merge(count, means + lane, products + lane * padded + lane, padded);
  }
}

// Mean and covariance of all chunks, mean and variance of the BN.
template <class T>
void finish_statistics(const SeparableProblem<T>& p, const Covariance& total) {
  T *mean = p.moments, *covariance = p.moments + p.in;
  for (index i = 0; i < p.in; ++i) {
    mean[i] = T(total.mean[i]);
    for (index j = 0; j < p.in; ++j)
      covariance[i * p.in + j] = T(total.products[i * total.channels + j] / *total.count);
  }
  Scratch scratch;
  double* product = scratch.take<double>(p.in);
  for (index c = 0; c < p.out; ++c) {
    const T* weight = p.weight + c * p.in;
    double middle = 0, var = 0;
    for (index j = 0; j < p.in; ++j) product[j] = 0;
    for (index i = 0; i < p.in; ++i) {
      const double own = double(weight[i]) / *total.count;
      middle += double(weight[i]) * total.mean[i];
      for (index j = 0; j < p.in; ++j) product[j] += own * total.products[i * total.channels + j];
    }
    for (index j = 0; j < p.in; ++j) var += product[j] * double(weight[j]);
    p.statistics[c] = T(middle);
    p.statistics[p.out + c] = T(var < 0 ? 0 : var);
  }
}

// The channels that moments have: those of a block's lanes, or of all blocks.
template <class T>
index moment_channels(const SeparableProblem<T>& p) {
  return p.together() > 1 ? p.lanes() : p.in_blocks() * kLanes;
}

template <class T>
void depthwise_sum(const SeparableProblem<T>& p, const GroupPlan& plan) {
  Scratch scratch;
  auto* terms = static_cast<PackedTerm<T>*>(
      static_cast<void*>(scratch.take<char>(p.count * index(sizeof(PackedTerm<T>)))));
  for (index t = 0; t < p.count; ++t)
    new (terms + t) PackedTerm<T>{p.terms[t], pack_taps(scratch, p, p.terms[t])};
  const index size = Covariance::size(moment_channels(p)), block = p.pixels() * kLanes;
  double* moments = scratch.zeros<double>(plan.chunks * size);
  plan.for_each(p.executor, [&](const ImageGroups& unit, index chunk) {
    for (index g = unit.first; g < unit.first + unit.count; ++g)
      for (index b = 0; b < p.in_blocks(); ++b)
        for (index t = 0; t < p.count; ++t)
          apply_term(p, terms[t], g, unit.images, b, t > 0,
                     p.values + (g * p.in_blocks() + b) * block);
    add_moments(p, unit, Covariance::at(moments + chunk * size, moment_channels(p)));
  });
  const auto total = Covariance::at(moments, moment_channels(p));
  for (index c = 1; c < plan.chunks; ++c) {
    const auto other = Covariance::at(moments + c * size, total.channels);
    total.merge(*other.count, other.mean, other.products, total.channels);
  }
  finish_statistics(p, total);
}

// 1 / std of each channel of the BN.
template <class T>
double inverse_deviation(const SeparableProblem<T>& p, index channel) {
  return 1 / std::sqrt(double(p.statistics[p.out + channel]) + kEpsilon);
}

// Weights [out block][in][16] with the BN folded in, repeated along the diagonal for each image of
// a group; bias [out block][16].
template <class T>
struct FoldedPointwise {
  T *panels, *bias;

  FoldedPointwise(Scratch& scratch, const SeparableProblem<T>& p) {
    const index in = p.in_blocks() * kLanes, lanes = p.lanes();
    panels = scratch.zeros<T>(p.out_blocks() * in * kLanes);
    bias = scratch.zeros<T>(p.out_blocks() * kLanes);
    for (index c = 0; c < p.out; ++c) {
      const double scale = inverse_deviation(p, c) * p.whole_scale() * p.weight_of(c);
      const double shift = p.whole_scale() * p.bias_of(c) - scale * double(p.statistics[c]);
      for (index f = 0; f < p.together(); ++f) {
        const index lane = f * lanes + c % kLanes, block = c / kLanes;
        bias[block * kLanes + lane] = T(shift);
        for (index k = 0; k < p.in; ++k)
          panels[(block * in + f * lanes + k) * kLanes + lane] =
              T(scale * double(p.weight[c * p.in + k]));
      }
    }
  }
};

// out = W' values + bias of the groups of a unit.
template <class T>
void write_unit(const SeparableProblem<T>& p, const FoldedPointwise<T>& by, const ImageGroups& unit,
                T* out) {
  const index blocks = p.in_blocks(), pixels = p.pixels();
  const PixelGrid to{p.height, p.width, p.out, 1, 0, 0};
  Scratch scratch;
  T* tile = p.together() > 1 ? scratch.take<T>(pixels * kLanes) : nullptr;
  for (index g = unit.first; g < unit.first + unit.count; ++g) {
    const Rows<T> rows{p.values + g * blocks * pixels * kLanes, kLanes, kLanes, blocks,
                       pixels * kLanes};
    T* own = out + g * pixels * p.out;
    multiply_blocks(p.out_blocks(), pixels, rows, by.panels,
                    [&](index i, index block, Vec<T> v) __attribute__((always_inline)) {
                      const auto value = v + load(by.bias + block * kLanes);
                      if (tile)
                        store(tile + i * kLanes, value);
                      else
                        store(own + i * p.out + block * kLanes, value, p.out - block * kLanes);
                    });
    if (tile) store_images(tile, out, to, g, unit.images, p.lanes(), 0);
  }
}

template <class T>
void train_separable(const SeparableProblem<T>& p, T* out) {
  const GroupPlan plan = group_plan(p);
  depthwise_sum(p, plan);
  Scratch scratch;
  const FoldedPointwise<T> by(scratch, p);
  plan.for_each(p.executor, [&](const ImageGroups& unit, index) { write_unit(p, by, unit, out); });
}

}  // namespace stnas::cpu::STNAS_ISA
