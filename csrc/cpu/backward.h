// The gradient of the training pass: two sweeps that need the sums of the one before, and the correction of the
// expand BN, which is linear in x:
//   dx = dx0 - W' (scale s1 / P) - W' diag(scale r s2 / P) W (x - m),  s1 = sum dz1, s2 = sum dz1 e^,
//   e^ = r W (x - m),  s2 = r W sum (x - m) dz1,  dW = scale sum (x - m) dz1 - scale r s2 (W C).
#pragma once

#include "gradient_hidden.h"
#include "input_moments.h"

namespace stnas::cpu::STNAS_ISA {

// values[0] += values[1] + ... in order, `parts` runs of `size`.
template <class T>
void add_parts(const Executor& executor, index parts, index size, T* values) {
  constexpr index kRun = 4096;
  parallel(executor, (size + kRun - 1) / kRun, [&](index run) {
    const index end = least(size, (run + 1) * kRun);
    for (index p = 1; p < parts; ++p)
      for (index i = run * kRun; i < end; ++i) values[i] += values[p * size + i];
  });
}

// Coefficients of dd from the sums of the depthwise BN, and its affine gradients.
template <class T>
NormGradient<T> depthwise_norm(Scratch& scratch, const Shape& s, const Fold<T>& fold,
                               const double* norm, T* affine) {
  const index padded = s.padded();
  T* keep = scratch.zeros<T>(3 * padded);
  const double count = double(s.images * s.out_pixels());
  for (index m = 0; m < s.hidden; ++m) {
    const double inverse = double(fold.inverse[m]), scale = double(fold.scale[m]);
    affine[m] = T(norm[padded + m] * inverse);
    affine[s.hidden + m] = T(norm[m]);
    keep[m] = fold.scale[m];
    keep[padded + m] = T(scale * norm[m] / count);
    keep[2 * padded + m] = T(scale * inverse * inverse * norm[padded + m] / count);
  }
  return {keep, keep + padded, keep + 2 * padded};
}

// [block][columns][16] as [M, columns].
template <class T>
void unpack_columns(const Shape& s, const Executor& executor, const T* from, index columns, T* to) {
  for_each_block(s, executor, [&](index b) {
    for (index i = b * kLanes; i < least(s.hidden, (b + 1) * kLanes); ++i)
      for (index c = 0; c < columns; ++c)
        to[i * columns + c] = from[(b * columns + c) * kLanes + i % kLanes];
  });
}

// What the correction of the expand BN subtracts: dx -= constant + matrix (x - m).
template <class T>
struct Correction {
  T *constant;  // [in, padded]
  T *panels;    // [in / 16][in][16]
};

// Affine gradients of the expand BN, the expand weights' gradient, and the correction's rows in `pull`.
template <class T>
void expand_gradient(const Problem<T>& p, const Saved<T>& saved, const Fold<T>& fold,
                     const HiddenPartial<T>& sums, const Gradients<T>& to, T* push, T* pull) {
  const Shape& s = p.shape;
  const double count = double(s.images * s.pixels());
  const T* product = saved.moments + s.in;
  for_each_block(s, p.executor, [&](index b) {
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

template <class T>
Correction<T> correction(Scratch& scratch, const Problem<T>& p, const T* push, const T* pull) {
  const Shape& s = p.shape;
  const index padded = round_up(s.in, kLanes);
  T *rows = scratch.take<T>(s.hidden * padded), *scaled = scratch.take<T>(s.hidden * padded);
  pad_columns(p.weights.expand, s.hidden, s.in, padded, rows);
  for (index m = 0; m < s.hidden; ++m)
    for (index j = 0; j < padded; j += kLanes)
      store(scaled + m * padded + j, load(rows + m * padded + j) * broadcast(pull[m]));
  Correction<T> to{scratch.take<T>(padded), scratch.take<T>(padded * s.in)};
  parallel(p.executor, padded / kLanes, [&](index j) {
    correlate(index{1}, s.hidden, push, index{1}, rows + j * kLanes, padded,
              [&](index, Vec<T> v) { store(to.constant + j * kLanes, v); });
    correlate(s.in, s.hidden, p.weights.expand, s.in, scaled + j * kLanes, padded,
              [&](index i, Vec<T> v) { store(to.panels + (j * s.in + i) * kLanes, v); });
  });
  return to;
}

// dx = dx0 - constant - matrix (x - m) [+ grad], in place.
template <class T>
void correct(const Problem<T>& p, const Plan& plan, const Correction<T>& by, const T* mean_pattern,
             const T* grad, T* grad_x) {
  const Shape& s = p.shape;
  parallel(p.executor, plan.groups * plan.strips, [&](index task) {
    const Unit unit = plan.unit(task / plan.strips, task % plan.strips);
    const index first = (unit.image * s.pixels() + unit.owned.begin * s.width) * s.in;
    const index pixels = unit.images * unit.owned.count() * s.width;
    Scratch scratch;
    T *x = scratch.take<T>(pixels * s.in), *to = grad_x + first;
    center(p.x + first, pixels, s.in, mean_pattern, x);
    for (index j = 0; j < s.in; j += kLanes) {
      const auto constant = load(by.constant + j);
      const index lanes = s.in - j;
      multiply(pixels, Rows<T>{x, s.in, s.in}, by.panels + j * s.in,
               [&](index i, Vec<T> v) __attribute__((always_inline)) {
                 T* at = to + i * s.in + j;
                 auto value = load(at, lanes) - constant - v;
                 if (p.residual) value = value + load(grad + first + i * s.in + j, lanes);
                 store(at, value, lanes);
               });
    }
  });
}

template <class Act, class T>
void sweep_expand(const ExpandSweep<T>& sweep, const HiddenPartial<T>& all, T* grad_x) {
  const auto& plan = sweep.project.plan;
  const Shape& s = plan.shape;
  for_each_group(plan, sweep.project.p.executor, [&](index g, index chunk) {
    const HiddenPartial<T> mine{all.depthwise + chunk * s.padded() * s.kernel * s.kernel,
                                all.expand + chunk * s.padded() * s.in,
                                all.plain + chunk * s.padded()};
    for (index strip = 0; strip < plan.strips; ++strip)
      expand_unit<Act>(sweep, plan.unit(g, strip), mine, grad_x);
  });
}

template <class Act, class T>
void backward(const Problem<T>& p, const Saved<T>& saved, const T* grad, const Gradients<T>& to) {
  const Shape& s = p.shape;
  const Plan plan = make_plan(s);
  const index padded = s.padded(), taps = s.kernel * s.kernel, M = s.hidden;
  Scratch scratch;
  const auto out = out_gradient(scratch, p, plan, saved, grad, to.affine + 4 * M);
  const T* second = saved.statistics + 2 * M;
  const auto fold = fold_norm(scratch, p.norms[1], second, second + M, M);
  T* project_panels = scratch.take<T>(padded * s.out);
  pack_rows(p.weights.project, s.out, M, s.out, project_panels);
  const ProjectSweep<T> gates{p, plan, saved, out, fold, project_panels,
                              hidden_offsets<T>(scratch, plan),
                              pack_squeeze_gradient(scratch, p),
                              scratch.zeros<T>(s.images * s.excitation()),
                              scratch.take<T>(s.images * padded * s.out_pixels())};
  T* project = scratch.zeros<T>(plan.chunks * padded * s.out);
  double* norm = scratch.zeros<double>(plan.chunks * 2 * padded);
  sweep_gates<Act>(gates, project, norm);
  add_parts(p.executor, plan.chunks, padded * s.out, project);
  add_parts(p.executor, plan.chunks, 2 * padded, norm);
  for_each_block(s, p.executor, [&](index b) {
    for (index o = 0; o < s.out; ++o)
      store(to.project + o * M + b * kLanes, load(project + (b * s.out + o) * kLanes),
            M - b * kLanes);
  });
  squeeze_gradients(p, saved, gates.excitation_grad, to);

  const auto first = fold_norm(scratch, p.norms[0], saved.statistics, saved.statistics + M, M);
  T* pattern = scratch.take<T>(pattern_vectors(s.in) * kLanes);
  T* panels = scratch.take<T>(padded * round_up(s.in, kLanes));
  pack_rows(p.weights.expand, M, s.in, padded, panels);
  for (index j = 0; j < round_up(s.in, kLanes); j += kLanes)
    for (index m = 0; m < padded; ++m) {
      T* at = panels + j * padded + m * kLanes;
      store(at, load(at) * broadcast(first.scale[m]));
    }
  const ExpandSweep<T> hidden{gates,
                              depthwise_norm(scratch, s, fold, norm, to.affine + 2 * M),
                              pack_expand(scratch, p, first.scale, first.bias),
                              pack_depthwise(scratch, p),
                              repeat_pattern(saved.moments, s.in, pattern),
                              panels,
                              unit_offsets<T>(scratch, plan),
                              find_gradient<T>(s.kernel, s.stride, s.width)};
  const HiddenPartial<T> partial{scratch.zeros<T>(plan.chunks * padded * taps),
                                 scratch.zeros<T>(plan.chunks * padded * s.in),
                                 scratch.zeros<T>(plan.chunks * padded)};
  sweep_expand<Act>(hidden, partial, to.x);
  add_parts(p.executor, plan.chunks, padded * taps, partial.depthwise);
  add_parts(p.executor, plan.chunks, padded * s.in, partial.expand);
  add_parts(p.executor, plan.chunks, padded, partial.plain);
  unpack_columns(s, p.executor, partial.depthwise, taps, to.depthwise);
  T *push = scratch.take<T>(2 * M), *pull = push + M;
  expand_gradient(p, saved, first, partial, to, push, pull);
  correct(p, plan, correction(scratch, p, push, pull), hidden.mean_pattern, grad, to.x);
}

}  // namespace stnas::cpu::STNAS_ISA
