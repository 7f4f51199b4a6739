// The gradient of the block between two stages: the sums of the second BN, then image by image back
// through the second convolution, with the sums of the first BN, then through the first.
#pragma once

#include "mixture/cpu/halving.h"

namespace stnas::cpu::STNAS_ISA {

// Adds sum g and sum g (z - mean) of an image by channel, [2][whole blocks].
template <class T>
void add_norm_sums(const Halving<T>& p, const T* g, const T* z, const Fold<T>& fold, double* sums) {
  for_each_panel(p.out, [&](auto N, index j) {
    with_lanes<N>(p.out - j, [&](auto lanes) {
      const auto mean = load<N>(fold.mean + j);
      Vec<T, N> first[2] = {zero<T, N>(), zero<T, N>()}, second[2] = {first[0], first[0]};
      in_pairs(p.pixels(), [&](index q, int turn) {
        const auto own = load<N>(g + q * p.out + j, lanes);
        first[turn] = first[turn] + own;
        second[turn] = second[turn] + own * (load<N>(z + q * p.out + j, lanes) - mean);
      });
      add_lanes(first[0] + first[1], sums + j);
      add_lanes(second[0] + second[1], sums + round_up(p.out, kLanes) + j);
    });
  });
}

// What makes the gradient before a BN of that behind it (EdgeGradients), of the images' sums.
template <class T>
T* finish_norm_sums(Scratch& scratch, const Halving<T>& p, const Fold<T>& fold, double* sums) {
  const index padded = round_up(p.out, kLanes);
  add_parts(p.executor, p.images, 2 * padded, sums);
  T* own = scratch.take<T>(4 * p.out);
  const double count = double(p.images * p.pixels());
  for (index c = 0; c < p.out; ++c) {
    const double inverse = double(fold.inverse[c]);
    own[c] = fold.mean[c];
    own[p.out + c] = fold.inverse[c];
    own[2 * p.out + c] = T(inverse * sums[c] / count);
    own[3 * p.out + c] = T(inverse * inverse * inverse * sums[padded + c] / count);
  }
  return own;
}

// The gradient of the result of a convolution of the block, where it is read.
template <class T>
struct HalvedGradient {
  EdgeConvolutions<T> problem;
  const T *z, *grad, *corrections;

  HalvedGradient(const Halving<T>& p, const T* from, const T* behind, const T* terms)
      : problem{nullptr, nullptr, p.images, p.rows(), p.columns(), p.out, p.out, 3, p.executor},
        z(from),
        grad(behind),
        corrections(terms) {}
  void fill(index image, T* to) const {
    fill_gradient(problem, EdgeGradients<T>{z, &grad, &corrections}, image, to);
  }
};

// Writes the gradient of BN(z) of the first convolution, and adds the sums of that BN.
template <class T>
void differentiate_second(const Halving<T>& p, const int32_t* places, const T* z,
                          const Fold<T>& fold, const HalvedGradient<T>& of_result, T* behind,
                          double* norm_sums, T* of_kernel) {
  const DirectConvolution d = second_of(p);
  Scratch scratch;
  const auto back = pack_taps(scratch, d, turned_taps(d, p.second));
  const index padded = round_up(p.out, kLanes);
  const auto through = [&](index i, const GradientBuffers<T>& buffers, T* sum) {
    const index at = i * p.pixels() * p.out;
    of_result.fill(i, buffers.g);
    convolve_directly(d, back, places, buffers.g, [&](index q, index j, auto v) {
      constexpr int N = decltype(v)::kParts * decltype(v)::kPartLanes;
      const index place = at + q * p.out + j, lanes = p.out - j;
      const auto none = zero<T, N>(), gap = load<N>(z + place, lanes) - load<N>(fold.mean + j);
      store(behind + place, where_less(none, gap, v, none), lanes);
    });
    add_norm_sums(p, behind + at, z + at, fold, norm_sums + i * 2 * padded);
    if (!sum) return;
    fill_normalised(d, z + at, fold, buffers.x);
    buffers.add(d, sum);
  };
  const T* sums =
      sum_over_images<T>(scratch, p.executor, d, p.images, tap_sums(d), of_kernel, through);
  if (!sums) return;
  for_each_tap_sum(d, sums, [&](index o, index i, index tap, T value) {
    of_kernel[(o * p.out + i) * 9 + tap] = value;
  });
}

// Adds the gradient of the shortcut for an image, [in][whole half blocks of out].
template <class T>
void add_shortcut(const Halving<T>& p, const T* means, const T* g, T* sums) {
  Scratch scratch;
  const index padded = round_up(p.out, kHalf);
  if (padded != p.out) {
    T* copy = scratch.take<T>(p.pixels() * padded);
    pad_columns(g, p.pixels(), p.out, padded, copy);
    g = copy;
  }
  for_each_panel(padded, [&](auto lanes, index j) {
    correlate<lanes>(p.in, p.pixels(), means, p.in, g + j, padded,
                     [&](index i, Vec<T, lanes> v) __attribute__((always_inline)) {
                       T* to = sums + i * padded + j;
                       store(to, load<lanes>(to) + v);
                     });
  });
}

// The gradient of the means of an image, [pixel][in]; shortcut is packed by rows.
template <class T>
void differentiate_means(const Halving<T>& p, const T* shortcut, const T* g, T* to) {
  multiply_columns(p.in, p.pixels(), Rows<T>{g, p.out, p.out}, shortcut,
                   [&](index q, index j, auto v)
                       __attribute__((always_inline)) { store(to + q * p.in + j, v, p.in - j); });
}

// The gradients of x, of the first kernel and of the shortcut.
template <class T>
void differentiate_first(const Halving<T>& p, const int32_t* places,
                         const HalvedGradient<T>& of_result, const T* grad,
                         const HalvingGradients<T>& to) {
  const DirectConvolution d = first_of(p), back = turned(d);
  Scratch scratch;
  const auto taps = pack_taps(scratch, back, turned_taps(d, widen_first(scratch, p)));
  T* shortcut = scratch.take<T>(round_up(p.in, kLanes) * p.out);
  pack_rows(p.shortcut, p.out, p.in, p.out, shortcut);
  const index padded = round_up(p.out, kHalf), size = tap_sums(d) + p.in * padded;
  const auto through = [&](index i, const GradientBuffers<T>& buffers, T* sum) {
    Scratch own;
    T *means = own.take<T>(p.pixels() * p.in), *of_blocks = own.take<T>(4 * p.pixels() * p.in);
    const index at = i * p.height * p.width * p.in;
    const T* g = grad + i * p.pixels() * p.out;
    of_result.fill(i, buffers.g);
    convolve_directly(
        back, taps, places, buffers.g + d.begin(0) * p.out,
        [&](index q, index j, auto v) { store(of_blocks + q * back.out + j, v, back.out - j); });
    if (sum) {
      fill_blocks(p, p.x + at, buffers.x, means);
      buffers.add(d, sum);
      add_shortcut(p, means, g, sum + tap_sums(d));
    }
    differentiate_means(p, shortcut, g, means);
    join_gradients(p, p.x + at, means, of_blocks, to.x + at);
  };
  const T* sums = sum_over_images<T>(scratch, p.executor, d, p.images, size, to.first, through);
  if (!sums) return;
  narrow_first(p, sums, to.first);
  for (index o = 0; o < p.out; ++o)
    for (index i = 0; i < p.in; ++i) to.shortcut[o * p.in + i] = sums[tap_sums(d) + i * padded + o];
}

template <class T>
void differentiate_halving(const Halving<T>& p, const HalvingValues<T>& values, const T* grad,
                           const HalvingGradients<T>& to) {
  Scratch scratch;
  const auto* places = places_of(scratch, second_of(p));
  const index padded = round_up(p.out, kLanes), each = p.pixels() * p.out;
  const Fold<T> folds[2] = {fold_of(scratch, p, values.statistics, 0),
                            fold_of(scratch, p, values.statistics, 1)};
  double* sums = scratch.zeros<double>(2 * p.images * 2 * padded);
  double* last = sums + p.images * 2 * padded;
  parallel(p.executor, p.images, 3 * p.images * each / kLanes, [&](index image) {
    add_norm_sums(p, grad + image * each, values.z[1] + image * each, folds[1],
                  last + image * 2 * padded);
  });
  T* behind = scratch.take<T>(p.images * each);
  const T* terms = finish_norm_sums(scratch, p, folds[1], last);
  differentiate_second(p, places, values.z[0], folds[0],
                       HalvedGradient<T>(p, values.z[1], grad, terms), behind, sums, to.second);
  terms = finish_norm_sums(scratch, p, folds[0], sums);
  differentiate_first(p, places, HalvedGradient<T>(p, values.z[0], behind, terms), grad, to);
}

}  // namespace stnas::cpu::STNAS_ISA
