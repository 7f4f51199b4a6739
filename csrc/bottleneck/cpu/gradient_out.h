// Gradient of the last BN: its two sums, and the gradient before it, made anew wherever it is read.
#pragma once

#include "bottleneck/cpu/plan.h"
#include "host/moments.h"
#include "host/partial_sums.h"

namespace stnas::cpu::STNAS_ISA {

// dy = keep * grad - offset - (y - mean) * pull, as patterns of the flat rows.
template <class T, class S>
struct OutGradient {
  const S *grad, *projected;
  const T* patterns;
  index channels, period;

  // Rows [first, first + pixels) into dense rows.
  void fill(index first, index pixels, T* to) const {
    const S *g = grad + first * channels, *y = projected + first * channels;
    for_each_vector(pixels, channels, [&](index at, index phase, index lanes) {
      const T* by = patterns + phase;
      const auto gap = load(y + at, lanes) - load(by + 3 * period);
      const auto value = load(g + at, lanes) * load(by) - load(by + period);
      store(to + at, value - gap * load(by + 2 * period), lanes);
    });
  }
};

// sums[c] += sum_q grad[q, c], sums[padded + c] += sum_q grad[q, c] (y[q, c] - mean[c]).
template <class T, class S>
void add_out_sums(index pixels, index channels, const S* grad, const S* y, const T* mean,
                  double* sums) {
  const index padded = round_up(channels, kLanes);
  for_each_panel(channels, [&](auto lanes, index j) {
    const auto center = load<lanes>(mean + j);
    const auto none = zero<T, lanes>();
    Vec<T, lanes> plain[2] = {none, none}, product[2] = {none, none};
    in_pairs(pixels, [&](index q, int at) __attribute__((always_inline)) {
      const auto g = load<lanes>(grad + q * channels + j, channels - j);
      const auto gap = load<lanes>(y + q * channels + j, channels - j) - center;
      plain[at] = plain[at] + g;
      product[at] = product[at] + g * gap;
    });
    add_lanes(plain[0] + plain[1], sums + j);
    add_lanes(product[0] + product[1], sums + padded + j);
  });
}

// Sweeps over the gradient once; writes the affine gradients of the last BN (weight, bias).
template <class T, class S>
OutGradient<T, S> out_gradient(Scratch& scratch, const Problem<T, S>& p, const Plan& plan,
                               const Saved<T, S>& saved, const S* grad, T* affine) {
  const Shape& s = p.shape;
  const T* third = saved.statistics + 4 * s.hidden;
  const auto fold = fold_norm(scratch, p.norms[2], third, third + s.out, s.out);
  const index padded = round_up(s.out, kLanes), period = pattern_vectors(s.out) * kLanes;
  double* sums = scratch.zeros<double>(plan.chunks * 2 * padded);
  for_each_group(plan, p.executor, [&](index g, index chunk) {
    const Unit unit = plan.unit(g, 0);
    const index first = unit.image * s.out_pixels() * s.out;
    add_out_sums(unit.images * s.out_pixels(), s.out, grad + first, saved.projected + first,
                 fold.mean, sums + chunk * 2 * padded);
  });
  T *keep = scratch.take<T>(3 * s.out), *offset = keep + s.out, *pull = offset + s.out;
  const double count = double(s.images * s.out_pixels());
  for (index c = 0; c < s.out; ++c) {
    double plain = 0, product = 0;
    for (index k = 0; k < plan.chunks; ++k) {
      plain += sums[k * 2 * padded + c];
      product += sums[k * 2 * padded + padded + c];
    }
    const double inverse = double(fold.inverse[c]), scale = double(fold.scale[c]);
    affine[c] = T(product * inverse);
    affine[s.out + c] = T(plain);
    keep[c] = fold.scale[c];
    offset[c] = T(scale * plain / count);
    pull[c] = T(scale * inverse * inverse * product / count);
  }
  T* patterns = scratch.take<T>(4 * period);
  repeat_pattern(keep, s.out, patterns);
  repeat_pattern(offset, s.out, patterns + period);
  repeat_pattern(pull, s.out, patterns + 2 * period);
  repeat_pattern(fold.mean, s.out, patterns + 3 * period);
  return {grad, saved.projected, patterns, s.out, period};
}

}  // namespace stnas::cpu::STNAS_ISA
