// The gradient of the expand BN, which is linear in x and so needs no pass over the hidden tensors:
//   dx = dx0 - W' (scale s1 / P) - W' diag(scale r s2 / P) W (x - m),  s1 = sum dz1,
//   s2 = sum dz1 e^,  e^ = r W (x - m), so that s2 = r W sum (x - m) dz1, and
//   dW = scale sum (x - m) dz1 - scale r s2 (W C).
#pragma once

#include "bottleneck/cpu/gradient_hidden.h"

namespace stnas::cpu::STNAS_ISA {

// Partial sums of one chunk.
template <class T>
struct HiddenPartial {
  T* depthwise;  // [block][K K][16]
  T* expand;     // sum (x - mean) dz1: [block][in][16]
  T* plain;      // sum dz1: [padded]
};

// What the correction of the expand BN subtracts: dx -= constant + matrix (x - m).
template <class T, class O>
struct Correction {
  const T* constant;  // [padded]
  const O* panels;    // [in / 16][in][16]
  index depth;
};

// Affine gradients of the expand BN, the expand weights' gradient, and the correction's rows in
// `pull`.
template <class T, class S>
void expand_gradient(const Problem<T, S>& p, const Saved<T, S>& saved, const Fold<T>& fold,
                     const HiddenPartial<T>& sums, const Gradients<T, S>& to, T* push, T* pull) {
  const Shape& s = p.shape;
  const double count = double(s.images * s.pixels());
  const T* product = saved.moments + s.in;
  for_each_block(s, p.executor, 2 * s.in * kLanes, [&](index b) {
    for (index m = b * kLanes; m < least(s.hidden, (b + 1) * kLanes); ++m) {
      const T *dz = sums.expand + b * s.in * kLanes + m % kLanes, *w = p.weights.expand + m * s.in;
      double second = 0;
      for (index c = 0; c < s.in; ++c) second += double(w[c]) * double(dz[c * kLanes]);
      second *= double(fold.inverse[m]);
      const double first = double(sums.plain[m]), scale = double(fold.scale[m]);
      const double weight = scale * double(fold.inverse[m]) * second;
      to.affine[m] = T(second);
      to.affine[s.hidden + m] = T(first);
      push[m] = T(scale * first / count);
      pull[m] = T(weight / count);
      for (index c = 0; c < s.in; ++c)
        to.expand[m * s.in + c] =
            fold.scale[m] * dz[c * kLanes] - T(weight) * product[m * s.in + c];
    }
  });
}

template <class T, class S>
Correction<T, Operand<S>> correction(Scratch& scratch, const Problem<T, S>& p, const T* push,
                                     const T* pull) {
  const Shape& s = p.shape;
  const index padded = round_up(s.in, kLanes);
  T *rows = scratch.take<T>(s.hidden * padded), *scaled = scratch.take<T>(s.hidden * padded);
  pad_columns(p.weights.expand, s.hidden, s.in, padded, rows);
  for (index m = 0; m < s.hidden; ++m)
    for (index j = 0; j < padded; j += kLanes)
      store(scaled + m * padded + j, load(rows + m * padded + j) * broadcast(pull[m]));
  T *constant = scratch.take<T>(padded), *panels = scratch.take<T>(padded * s.in);
  parallel(p.executor, padded / kLanes, padded / kLanes * s.in * s.hidden, [&](index j) {
    correlate(index{1}, s.hidden, push, index{1}, rows + j * kLanes, padded,
              [&](index, Vec<T> v) { store(constant + j * kLanes, v); });
    correlate(s.in, s.hidden, p.weights.expand, s.in, scaled + j * kLanes, padded,
              [&](index i, Vec<T> v) { store(panels + (j * s.in + i) * kLanes, v); });
  });
  using O = Operand<S>;
  return {constant, pack_operand<O>(scratch, padded / kLanes, s.in, panels),
          round_up(s.in, kDepthStep<O>)};
}

// dx = dx0 - constant - matrix (x - m) [+ grad], written or added; dx0 may be where it is written.
template <class T, class S>
void correct(const Problem<T, S>& p, const Plan& plan, const Correction<T, Operand<S>>& by,
             const T* mean_pattern, const S* grad, const T* dx0, const Gradients<T, S>& into) {
  const Shape& s = p.shape;
  const index vectors = s.images * s.pixels() * round_up(s.in, kLanes) / kLanes;
  parallel(p.executor, plan.groups * plan.strips, vectors * s.in, [&](index task) {
    const Unit unit = plan.unit(task / plan.strips, task % plan.strips);
    const index first = (unit.image * s.pixels() + unit.owned.begin * s.width) * s.in;
    const index pixels = unit.images * unit.owned.count() * s.width;
    Scratch scratch;
    auto* x = scratch.take<Operand<S>>(pixels * by.depth);
    S* to = into.x + first;
    const T* from = dx0 + first;
    const S* through = p.residual ? grad + first : nullptr;
    center(p.x + first, pixels, s.in, mean_pattern, x, by.depth);
    const Rows<Operand<S>> rows{x, by.depth, by.depth};
    multiply_columns(s.in, pixels, rows, by.panels,
                     [&]<int N>(index i, index j, Vec<T, N> v) __attribute__((always_inline)) {
                       const index at = i * s.in + j, rest = s.in - j;
                       v = load<N>(from + at, rest) - load<N>(by.constant + j) - v;
                       if (through) v = v + load<N>(through + at, rest);
                       if (into.add_x) v = load<N>(to + at, rest) + v;
                       store(to + at, v, rest);
                     });
  });
}

}  // namespace stnas::cpu::STNAS_ISA
