// The gradient of the training pass: two sweeps, each of which needs the sums of the one before,
// and the correction of the expand BN.
#pragma once

#include "gradient_expand.h"

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

// The first sweep with its results: gradients of the project and SE weights; returns the sums of
// the depthwise BN, [2][padded].
template <class Act, class T>
const double* gate_gradients(Scratch& scratch, const ProjectSweep<T>& sweep,
                             const Gradients<T>& to) {
  const Shape& s = sweep.p.shape;
  const index padded = s.padded(), chunks = sweep.plan.chunks;
  T* project = scratch.zeros<T>(chunks * padded * s.out);
  double* norm = scratch.zeros<double>(chunks * 2 * padded);
  sweep_gates<Act>(sweep, project, norm);
  add_parts(sweep.p.executor, chunks, padded * s.out, project);
  add_parts(sweep.p.executor, chunks, 2 * padded, norm);
  for_each_block(s, sweep.p.executor, [&](index b) {
    for (index o = 0; o < s.out; ++o)
      store(to.project + o * s.hidden + b * kLanes, load(project + (b * s.out + o) * kLanes),
            s.hidden - b * kLanes);
  });
  squeeze_gradients(sweep.p, sweep.saved, sweep.excitation_grad, to);
  return norm;
}

// Expand weights times the scale of their BN for the gradient of x, [in / 16][M][16].
template <class T>
const T* pack_expand_gradient(Scratch& scratch, const Problem<T>& p, const T* scale) {
  const index padded = p.shape.padded(), columns = round_up(p.shape.in, kLanes);
  T* panels = scratch.take<T>(padded * columns);
  pack_rows(p.weights.expand, p.shape.hidden, p.shape.in, padded, panels);
  for (index row = 0; row < padded * columns / kLanes; ++row) {
    T* at = panels + row * kLanes;
    store(at, load(at) * broadcast(scale[row % padded]));
  }
  return panels;
}

// The second sweep with its results: gradients of x and of the depthwise and expand weights.
template <class Act, class T>
void hidden_gradients(Scratch& scratch, const ExpandSweep<T>& sweep, const Fold<T>& first,
                      const T* grad, const Gradients<T>& to) {
  const Problem<T>& p = sweep.project.p;
  const Shape& s = p.shape;
  const index padded = s.padded(), taps = s.kernel * s.kernel, chunks = sweep.project.plan.chunks;
  const HiddenPartial<T> partial{scratch.zeros<T>(chunks * padded * taps),
                                 scratch.zeros<T>(chunks * padded * s.in),
                                 scratch.zeros<T>(chunks * padded)};
  sweep_expand<Act>(sweep, partial, to.x);
  add_parts(p.executor, chunks, padded * taps, partial.depthwise);
  add_parts(p.executor, chunks, padded * s.in, partial.expand);
  add_parts(p.executor, chunks, padded, partial.plain);
  unpack_columns(s, p.executor, partial.depthwise, taps, to.depthwise);
  T *push = scratch.take<T>(2 * s.hidden), *pull = push + s.hidden;
  expand_gradient(p, sweep.project.saved, first, partial, to, push, pull);
  correct(p, sweep.project.plan, correction(scratch, p, push, pull), sweep.mean_pattern, grad,
          to.x);
}

template <class Act, class T>
void backward(const Problem<T>& p, const Saved<T>& saved, const T* grad, const Gradients<T>& to) {
  const Shape& s = p.shape;
  const Plan plan = make_plan(s);
  const index M = s.hidden;
  Scratch scratch;
  const auto out = out_gradient(scratch, p, plan, saved, grad, to.affine + 4 * M);
  const T *first = saved.statistics, *second = saved.statistics + 2 * M;
  const auto inner = fold_norm(scratch, p.norms[0], first, first + M, M);
  const auto outer = fold_norm(scratch, p.norms[1], second, second + M, M);
  T* panels = scratch.take<T>(s.padded() * s.out);
  pack_rows(p.weights.project, s.out, M, s.out, panels);
  const ProjectSweep<T> gates{p, plan, saved, out, outer, panels,
                              hidden_offsets<T>(scratch, plan),
                              pack_squeeze_gradient(scratch, p),
                              scratch.zeros<T>(s.images * s.excitation()),
                              scratch.take<T>(s.images * s.padded() * s.out_pixels())};
  const double* norm = gate_gradients<Act>(scratch, gates, to);
  T* pattern = scratch.take<T>(pattern_vectors(s.in) * kLanes);
  const ExpandSweep<T> hidden{gates,
                              depthwise_norm(scratch, s, outer, norm, to.affine + 2 * M),
                              pack_expand(scratch, p, inner.scale, inner.bias),
                              pack_depthwise(scratch, p),
                              repeat_pattern(saved.moments, s.in, pattern),
                              pack_expand_gradient(scratch, p, inner.scale),
                              unit_offsets<T>(scratch, plan),
                              find_gradient<T>(s.kernel, s.stride, s.width)};
  hidden_gradients<Act>(scratch, hidden, inner, grad, to);
}

}  // namespace stnas::cpu::STNAS_ISA
